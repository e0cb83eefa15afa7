// A dense convolution of any kernel, stride and padding: y[o, p] = act(bias[o] + sum over k, ky, kx of weight[o, k, ky, kx] *
// x[k, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. Channels lie in groups of 4.
//
// One invocation computes 4 pixels of 2 groups of outputs. Dispatch: (pixels / 32, groups / 16, batch), rounded up. runs:
// the first and the end, in units of 4 elements, of groups that follow each other in x. weight: [tile][KERNEL_Y][KERNEL_X]
// [in group][2 groups][4 in][4 out], padded by zeros. bias: [tile][2 groups], likewise.

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
@group(0) @binding(4) var<storage, read> weight: array<array<W, 4>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// Whether the other is added.
override ADD: bool = false;
override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;

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

fn same(v: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(v, v, v, v);
}

// Where a tap falls, and 1, or any place inside the image, and 0.
struct Tap {
    at: u32,
    weight: f32,
}

fn tap(pixel: u32, ky: u32, kx: u32) -> Tap {
    let row = i32(pixel / params.y_width * params.stride_y + ky * params.dilation_y) - i32(params.top);
    let column = i32(pixel % params.y_width * params.stride_x + kx * params.dilation_x) - i32(params.left);
    let inside = row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width);
    return Tap(select(0u, u32(row) * params.x_width + u32(column), inside), select(0.0, 1.0, inside));
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

fn store(image: u32, group: u32, pixel: u32, acc: mat4x4<f32>) {
    if group < params.out_groups {
        let at = (image * params.y_image + params.y_offset + group * params.y_group) / 4u;
        let added = (image * params.other_image + params.other_offset + group * params.y_group) / 4u;
        store_one(at, added, pixel, acc[0]);
        store_one(at, added, pixel + 8u, acc[1]);
        store_one(at, added, pixel + 16u, acc[2]);
        store_one(at, added, pixel + 24u, acc[3]);
    }
}

// The weights of a group of outputs, one input a column.
fn matrix(w: array<W, 4>) -> mat4x4<f32> {
    return mat4x4<f32>(from_w(w[0]), from_w(w[1]), from_w(w[2]), from_w(w[3]));
}

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let x_pixels = params.x_height * params.x_width;
    let pixel = workgroup.x * 32u + local.x;
    let tile = workgroup.y * 8u + local.y;
    let group = tile * 2u;
    if group >= params.out_groups {
        return;
    }
    // Pixels past the last are computed as the last, and not stored.
    let last = params.y_group / 4u - 1u;
    let image = workgroup.z * params.x_image / 4u;

    var acc0 = same(bias[group]);
    var acc1 = same(bias[group + 1u]);
    var w = tile * KERNEL_Y * KERNEL_X * params.inputs * 2u;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let t0 = tap(min(pixel, last), ky, kx);
            let t1 = tap(min(pixel + 8u, last), ky, kx);
            let t2 = tap(min(pixel + 16u, last), ky, kx);
            let t3 = tap(min(pixel + 24u, last), ky, kx);
            for (var r = 0u; r < params.runs; r++) {
                let run = runs[r];
                for (var k = run.x + image; k < run.y + image; k += x_pixels) {
                    let v = mat4x4<f32>(
                        from_x(x[t0.at + k]) * t0.weight,
                        from_x(x[t1.at + k]) * t1.weight,
                        from_x(x[t2.at + k]) * t2.weight,
                        from_x(x[t3.at + k]) * t3.weight,
                    );
                    acc0 += matrix(weight[w]) * v;
                    acc1 += matrix(weight[w + 1u]) * v;
                    w += 2u;
                }
            }
        }
    }
    store(workgroup.z, group, pixel, acc0);
    store(workgroup.z, group + 1u, pixel, acc1);
}
