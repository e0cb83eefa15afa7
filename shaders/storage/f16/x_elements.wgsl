// A load of x brings two numbers of 16 bits, of which one is taken.

alias X = u32;

fn element(i: u32) -> f32 {
    return unpack2x16float(x[i / 2u])[i % 2u];
}
