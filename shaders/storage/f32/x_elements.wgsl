// A load of x brings one number, of 32 bits.

alias X = f32;

fn element(i: u32) -> f32 {
    return x[i];
}
