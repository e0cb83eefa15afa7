// A load of x brings two pixels of a group that follow each other, 8 numbers of 16 bits.

alias X = vec4<u32>;

fn first_x(v: X) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

fn second_x(v: X) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));
}
