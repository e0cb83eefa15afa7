// Numbers one by one: y[c, p] = act(x[c, p]), act(x[c, p] + other[c, p]) or act(x[c, p] * other[c, p]), for each image. In y
// and in other channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: the element
// of x at which each channel lies, its end padded by any valid place.

struct Params {
    x_image: u32, // elements from one image to the next
    y_image: u32,
    y_offset: u32, // element at which the first group of 4 channels begins
    y_group: u32, // elements from one group to the next
    x_height: u32, // pixels
    x_width: u32,
    y_height: u32,
    y_width: u32,
    x_pixel: u32, // elements from one pixel to the next
    inputs: u32, // groups or channels that an output is made of
    runs: u32, // runs of groups that they lie in
    out_groups: u32,
    rows: u32, // rows that one invocation computes
    stride_y: u32, // pixels from one window to the next
    stride_x: u32,
    dilation_y: u32, // pixels from one tap to the next
    dilation_x: u32,
    top: u32, // padding in pixels
    left: u32,
    bottom: u32,
    right: u32,
    other_image: u32, // as those of x
    other_offset: u32, // as that of y
    other_pixel: u32, // as that of x, or 0 where one pixel goes to all
    a: f32, // what the activation needs
    b: f32,
}

// How x is stored, and the others below likewise; gpu/shader.rs puts pairs of halves in place of such lines.
alias X = f32;
fn element(i: u32) -> f32 {
    return x[i];
}

alias Y = vec4<f32>;
fn to_y(v: vec4<f32>) -> Y {
    return v;
}

alias Other = vec4<f32>;
fn from_other(v: Other) -> vec4<f32> {
    return v;
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// 0 takes x as it is, 1 adds the other, 2 multiplies by it.
override OPERATION: u32 = 0u;

// 0 is none, and the others are in the order of their kinds in kernels.rs.
override ACTIVATION: u32 = 0u;

fn act(v: vec4<f32>) -> vec4<f32> {
    switch ACTIVATION {
        case 1u: {
            return max(v, vec4<f32>());
        }
        case 2u: {
            return clamp(v, vec4<f32>(params.a), vec4<f32>(params.b));
        }
        case 3u: {
            return clamp(v * params.a + params.b, vec4<f32>(), vec4<f32>(1.0));
        }
        case 4u: {
            return v * clamp(v / 6.0 + 0.5, vec4<f32>(), vec4<f32>(1.0));
        }
        case 5u: {
            return 1.0 / (1.0 + exp(-v));
        }
        case 6u: {
            return v / (1.0 + exp(-v));
        }
        default: {
            return v;
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let at = planes[group] + id.z * params.x_image + pixel * params.x_pixel;
    var value = vec4<f32>(element(at.x), element(at.y), element(at.z), element(at.w));
    if OPERATION != 0u {
        let other_group = select(4u, params.y_group, params.other_pixel > 0u);
        let start = id.z * params.other_image + params.other_offset + group * other_group;
        let operand = from_other(other[(start + pixel * params.other_pixel) / 4u]);
        value = select(value * operand, value + operand, OPERATION == 1u);
    }
    y[(id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(act(value));
}
