// A load of x brings one number, of 32 bits.

alias X = f32;

// How numbers of an input are normalised: they are.
fn normal_of(input: u32) -> vec2<f32> {
    return vec2<f32>(1.0, 0.0);
}

fn value(i: u32, normal: vec2<f32>) -> f32 {
    return x[i];
}
