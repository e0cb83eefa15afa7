// A load of weights brings 4 numbers of 16 bits.

alias W = vec2<u32>;

fn from_w(v: W) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
