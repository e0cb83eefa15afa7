// As pointwise_4x32, with 7 pixels of 4 groups of outputs an invocation, for images whose pixels are a multiple of 7
// times 8, or less: y[o, p] = act(bias[o] + sum over k of weight[o, k] * x[k, p] + other[o, p]), for each image.
//
// Dispatch: (pixels / 56, groups / 4, batch), rounded up. runs: the first and the end, in units of 4 elements, of groups
// that follow each other in x. weight: [tile][in group][4 groups][4 in][4 out], padded by zeros. bias: [tile][4 groups],
// likewise.

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

alias Other = vec4<f32>;
fn from_other(v: Other) -> vec4<f32> {
    return v;
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> runs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// Whether the other is added.
override ADD: bool = false;

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

// The weights of a group of outputs that lanes 0 to 3 hold, one input a column.
fn low(w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(w, 0u),
        subgroupBroadcast(w, 1u),
        subgroupBroadcast(w, 2u),
        subgroupBroadcast(w, 3u),
    );
}

// Those that lanes 4 to 7 hold.
fn high(w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(w, 4u),
        subgroupBroadcast(w, 5u),
        subgroupBroadcast(w, 6u),
        subgroupBroadcast(w, 7u),
    );
}

fn four(v: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(v, v, v, v);
}

fn three(v: vec4<f32>) -> mat3x4<f32> {
    return mat3x4<f32>(v, v, v);
}

fn store_one(at: u32, added: u32, pixel: u32, value: vec4<f32>) {
    if pixel * 4u < params.y_group {
        var sum = value;
        if ADD {
            sum += from_other(other[added + pixel]);
        }
        y[at + pixel] = to_y(act(sum));
    }
}

fn store(image: u32, group: u32, pixel: u32, acc: mat4x4<f32>, more: mat3x4<f32>) {
    if group < params.out_groups {
        let at = (image * params.y_image + params.y_offset + group * params.y_group) / 4u;
        let added = (image * params.other_image + params.other_offset + group * params.y_group) / 4u;
        store_one(at, added, pixel, acc[0]);
        store_one(at, added, pixel + 8u, acc[1]);
        store_one(at, added, pixel + 16u, acc[2]);
        store_one(at, added, pixel + 24u, acc[3]);
        store_one(at, added, pixel + 32u, more[0]);
        store_one(at, added, pixel + 40u, more[1]);
        store_one(at, added, pixel + 48u, more[2]);
    }
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let pixels = params.y_group / 4u;
    let pixel = workgroup.x * 56u + local;
    // Pixels past the last are computed as the last, and not stored.
    let image = workgroup.z * params.x_image / 4u;
    let at0 = image + min(pixel, pixels - 1u);
    let at1 = image + min(pixel + 8u, pixels - 1u);
    let at2 = image + min(pixel + 16u, pixels - 1u);
    let at3 = image + min(pixel + 24u, pixels - 1u);
    let at4 = image + min(pixel + 32u, pixels - 1u);
    let at5 = image + min(pixel + 40u, pixels - 1u);
    let at6 = image + min(pixel + 48u, pixels - 1u);

    let group = workgroup.y * 4u;
    var acc0 = four(bias[group]);
    var acc1 = four(bias[group + 1u]);
    var acc2 = four(bias[group + 2u]);
    var acc3 = four(bias[group + 3u]);
    var more0 = three(bias[group]);
    var more1 = three(bias[group + 1u]);
    var more2 = three(bias[group + 2u]);
    var more3 = three(bias[group + 3u]);

    var w = workgroup.y * params.inputs * 16u + lane;
    for (var r = 0u; r < params.runs; r++) {
        let run = runs[r];
        for (var k = run.x; k < run.y; k += pixels) {
            let v = mat4x4<f32>(from_x(x[at0 + k]), from_x(x[at1 + k]), from_x(x[at2 + k]), from_x(x[at3 + k]));
            let u = mat3x4<f32>(from_x(x[at4 + k]), from_x(x[at5 + k]), from_x(x[at6 + k]));
            let w0 = from_w(weight[w]);
            let a = low(w0);
            acc0 += a * v;
            more0 += a * u;
            let b = high(w0);
            acc1 += b * v;
            more1 += b * u;
            let w1 = from_w(weight[w + 8u]);
            let c = low(w1);
            acc2 += c * v;
            more2 += c * u;
            let d = high(w1);
            acc3 += d * v;
            more3 += d * u;
            w += 16u;
        }
    }

    store(workgroup.z, group, pixel, acc0, more0);
    store(workgroup.z, group + 1u, pixel, acc1, more1);
    store(workgroup.z, group + 2u, pixel, acc2, more2);
    store(workgroup.z, group + 3u, pixel, acc3, more3);
}
