// A store to y takes two pixels of a group that follow each other, 8 numbers of 32 bits, two of them as one of 64.

alias Y = vec4<u64>;
alias HalfY = vec2<u64>;

fn to_y(v: vec4<f32>) -> HalfY {
    let bits = vec4<u64>(bitcast<vec4<u32>>(v));
    return HalfY(bits.x | bits.y << 32u, bits.z | bits.w << 32u);
}
