// A load of x brings one number, of 32 bits.

alias X = f32;

fn value(i: u32, input: u32) -> f32 {
    return x[i];
}
