// A fully connected layer: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for each image.
//
// One invocation computes one group of 4 outputs. Dispatch: (groups / 64, 1, batch), rounded up. planes: where in x, 4
// inputs at a time, each lies, its end padded by any valid place; where DENSE only its first entry counts, from which on
// all inputs lie one behind the other. weight: [in / 4][groups][4 in][4 out], padded by zeros, so that neighbours read
// neighbouring weights. bias: [groups], likewise.

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
alias X = vec4<f32>;
fn from_x(v: X) -> vec4<f32> {
    return v;
}

alias Y = vec4<f32>;
fn to_y(v: vec4<f32>) -> Y {
    return v;
}

alias W = vec4<f32>;
fn from_w(v: W) -> vec4<f32> {
    return v;
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<array<W, 4>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

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
override DENSE: bool = true;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Inputs `4 k` to `4 k + 3`.
fn load(image: u32, k: u32) -> vec4<f32> {
    if DENSE {
        return from_x(x[(image + planes[0].x) / 4u + k]);
    }
    let i = planes[k] + image;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

// The weights of a group of outputs, one input a column.
fn matrix(w: array<W, 4>) -> mat4x4<f32> {
    return mat4x4<f32>(from_w(w[0]), from_w(w[1]), from_w(w[2]), from_w(w[3]));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    if group >= params.out_groups {
        return;
    }
    let image = id.z * params.x_image;
    var acc = bias[group];
    for (var k = 0u; k < params.inputs; k++) {
        acc += matrix(weight[k * params.out_groups + group]) * load(image, k);
    }
    let out = (id.z * params.y_image + params.y_offset) / 4u + group;
    y[out] = to_y(act(acc));
}
