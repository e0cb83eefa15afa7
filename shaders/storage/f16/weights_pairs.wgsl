// A load of weights brings 8 numbers of 16 bits.

alias W = vec4<u32>;

fn first_w(v: W) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

fn second_w(v: W) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));
}
