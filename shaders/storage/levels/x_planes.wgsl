// A load of x brings four levels of 8 bits, of which one is taken and normalised. In `planes` the places of the inputs are
// followed by a scale and a shift of each, as the bits of numbers of 32.

alias X = u32;

// Scale and shift of an input.
fn normal_of(input: u32) -> vec2<f32> {
    let scale = params.inputs + 2u * input;
    return bitcast<vec2<f32>>(vec2<u32>(planes[scale], planes[scale + 1u]));
}

fn value(i: u32, normal: vec2<f32>) -> f32 {
    let level = f32((x[i / 4u] >> (i % 4u * 8u)) & 255u);
    return level * normal.x + normal.y;
}
