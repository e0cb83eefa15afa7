// A load of the second operand brings one pixel of a group, 4 numbers of 32 bits.

alias Other = vec4<f32>;

fn from_other(v: Other) -> vec4<f32> {
    return v;
}
