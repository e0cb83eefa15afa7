// A dense convolution of any kernel, stride and padding, where there are many results: y[o, p] = act(bias[o] + sum over k, ky,
// kx of weight[o, k, ky, kx] * x[k, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. Channels lie
// in groups of 4.
//
// One invocation computes 2 pixels of 4 groups of outputs. All invocations of a workgroup need the same weights, which real GPUs
// load once. Pixels of `images` images are counted on. Dispatch: (pixels / 128, groups / 4, batch / images), rounded up. starts:
// where each group begins in x, in units of 4 elements. weight: [tile][KERNEL_Y]
// [KERNEL_X][in group][4 groups][4 in][4 out], padded by zeros. bias: [tile][4 groups], likewise.
//
// Joined with: params, x, y, weights, other, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<array<W, 4>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// Whether the other is added.
override ADD: bool = false;
override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;
// Whether each output is made of the pixel at its own place alone.
override POINTWISE: bool = false;

// A pixel of y.
struct Pixel {
    image: u32,
    at: u32,
    // Where its window begins in x.
    row: i32,
    column: i32,
    stored: bool,
}

// Where a tap falls, and 1, or any place inside the image, and 0.
struct Tap {
    at: u32,
    weight: f32,
}

// What is computed of a pixel: a group a column.
alias Sums = mat4x4<f32>;

// Pixels past the last are computed as the last, and not stored.
fn pixel(image: u32, index: u32) -> Pixel {
    let pixels = params.y_group / 4u;
    let found = min(index, params.images * pixels - 1u);
    let at = found % pixels;
    let row = i32(at / params.y_width * params.stride_y) - i32(params.top);
    let column = i32(at % params.y_width * params.stride_x) - i32(params.left);
    return Pixel(image * params.images + found / pixels, at, row, column, found == index);
}

fn tap(pixel: Pixel, ky: u32, kx: u32) -> Tap {
    let image = pixel.image * (params.x_image / 4u);
    if POINTWISE {
        return Tap(image + pixel.at, 1.0);
    }
    let row = pixel.row + i32(ky * params.dilation_y);
    let column = pixel.column + i32(kx * params.dilation_x);
    let inside = row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width);
    return Tap(image + select(0u, u32(row) * params.x_width + u32(column), inside), select(0.0, 1.0, inside));
}

fn load(tap: Tap, start: u32) -> vec4<f32> {
    let v = from_x(x[tap.at + start]);
    if POINTWISE {
        return v;
    }
    return v * tap.weight;
}

fn plus(sum: vec4<f32>, w: array<W, 4>, v: vec4<f32>) -> vec4<f32> {
    return sum + from_w(w[0]) * v.x + from_w(w[1]) * v.y + from_w(w[2]) * v.z + from_w(w[3]) * v.w;
}

fn store_one(pixel: Pixel, group: u32, value: vec4<f32>) {
    if group < params.out_groups {
        var sum = value;
        if ADD {
            sum += from_other(other[(pixel.image * params.other_image + params.other_offset + group * params.y_group) / 4u + pixel.at]);
        }
        y[(pixel.image * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel.at] = to_y(act(sum));
    }
}

fn store(pixel: Pixel, group: u32, sums: Sums) {
    if pixel.stored {
        store_one(pixel, group, sums[0]);
        store_one(pixel, group + 1u, sums[1]);
        store_one(pixel, group + 2u, sums[2]);
        store_one(pixel, group + 3u, sums[3]);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = pixel(workgroup.z, workgroup.x * 128u + local);
    let second = pixel(workgroup.z, workgroup.x * 128u + 64u + local);
    let group = workgroup.y * 4u;
    var sums = Sums(bias[group], bias[group + 1u], bias[group + 2u], bias[group + 3u]);
    var others = sums;
    var w = group * KERNEL_Y * KERNEL_X * params.inputs;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let t0 = tap(first, ky, kx);
            let t1 = tap(second, ky, kx);
            for (var k = 0u; k < params.inputs; k++) {
                let v0 = load(t0, starts[k]);
                let v1 = load(t1, starts[k]);
                sums[0] = plus(sums[0], weight[w], v0);
                sums[1] = plus(sums[1], weight[w + 1u], v0);
                sums[2] = plus(sums[2], weight[w + 2u], v0);
                sums[3] = plus(sums[3], weight[w + 3u], v0);
                others[0] = plus(others[0], weight[w], v1);
                others[1] = plus(others[1], weight[w + 1u], v1);
                others[2] = plus(others[2], weight[w + 2u], v1);
                others[3] = plus(others[3], weight[w + 3u], v1);
                w += 4u;
            }
        }
    }
    store(first, group, sums);
    store(second, group, others);
}
