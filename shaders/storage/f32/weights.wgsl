// A load of weights brings 4 numbers of 32 bits.

alias W = vec4<f32>;

fn from_w(v: W) -> vec4<f32> {
    return v;
}
