// A load of the second operand brings one pixel of a group, 4 numbers of 16 bits.

alias Other = vec2<u32>;

fn from_other(v: Other) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
