// A store to y takes one pixel of a group, which it rounds to 4 numbers of 16 bits.

alias Y = vec2<u32>;

fn to_y(v: vec4<f32>) -> Y {
    return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
