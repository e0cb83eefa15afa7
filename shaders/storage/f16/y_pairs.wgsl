// A store to y takes two pixels of a group that follow each other, which it rounds to 8 numbers of 16 bits.

alias Y = vec4<u32>;
alias HalfY = vec2<u32>;

fn to_y(v: vec4<f32>) -> HalfY {
    return HalfY(pack2x16float(v.xy), pack2x16float(v.zw));
}
