// A store to y takes one pixel of a group, 4 numbers of 32 bits.

alias Y = vec4<f32>;

fn to_y(v: vec4<f32>) -> Y {
    return v;
}
