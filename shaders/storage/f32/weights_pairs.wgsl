// A load of weights brings 8 numbers of 32 bits, two of them as one of 64.

alias W = vec4<u64>;

fn first_w(v: W) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(v.x), u32(v.x >> 32u), u32(v.y), u32(v.y >> 32u)));
}

fn second_w(v: W) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(v.z), u32(v.z >> 32u), u32(v.w), u32(v.w >> 32u)));
}
