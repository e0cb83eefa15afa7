// A load of x brings one pixel of a group, 4 numbers of 16 bits.

alias X = vec2<u32>;

fn from_x(v: X) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
