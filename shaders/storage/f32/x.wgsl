// A load of x brings one pixel of a group, 4 numbers of 32 bits.

alias X = vec4<f32>;

fn from_x(v: X) -> vec4<f32> {
    return v;
}
