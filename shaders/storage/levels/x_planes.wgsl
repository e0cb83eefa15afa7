// A load of x brings four levels of 8 bits, of which one is taken and normalised. In `planes` the places of the inputs are
// followed by a scale and a shift of each, as the bits of numbers of 32.

alias X = u32;

fn value(i: u32, input: u32) -> f32 {
    let level = f32((x[i / 4u] >> (i % 4u * 8u)) & 255u);
    let scale = params.inputs + 2u * input;
    return level * bitcast<f32>(planes[scale]) + bitcast<f32>(planes[scale + 1u]);
}
