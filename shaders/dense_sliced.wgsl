// A dense convolution of any kernel, stride and padding, where there are few results: y[o, p] = act(bias[o] + sum over k, ky, kx
// of weight[o, k, ky, kx] * x[k, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. Channels lie in
// groups of 4.
//
// A workgroup computes 4 pixels of 64 / SLICES groups of outputs. Each of its invocations computes the part that one slice of the
// groups of inputs has in 4 pixels of one group, and then they add the parts up. Dispatch: (pixels / 4, groups / 64 * SLICES,
// batch), rounded up. starts: where each group begins in x, in units of 4 elements. weight: [tile][KERNEL_Y][KERNEL_X][in group][4 groups]
// [4 in][4 out], padded by zeros. bias: [tile][4 groups], likewise.
//
// Joined with: params, x, y, weights, other, activation, slices.

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

// What is computed of a group: a pixel a column.
alias Sums = mat4x4<f32>;

// Where a tap of each pixel falls, and 1, or any place inside the image, and 0.
struct Taps {
    at: vec4<u32>,
    weight: vec4<f32>,
}

// Of 4 pixels from `first` on. Those past the last are computed from what lies anywhere, and not stored.
fn taps(image: u32, first: u32, ky: u32, kx: u32) -> Taps {
    let pixels = first + vec4<u32>(0u, 1u, 2u, 3u);
    let rows = vec4<i32>(pixels / params.y_width * params.stride_y + ky * params.dilation_y) - i32(params.top);
    let columns = vec4<i32>(pixels % params.y_width * params.stride_x + kx * params.dilation_x) - i32(params.left);
    let inside = (rows == clamp(rows, vec4<i32>(), vec4<i32>(i32(params.x_height) - 1)))
        & (columns == clamp(columns, vec4<i32>(), vec4<i32>(i32(params.x_width) - 1)));
    let at = select(vec4<u32>(), vec4<u32>(rows) * params.x_width + vec4<u32>(columns), inside);
    return Taps(image + at, select(vec4<f32>(), vec4<f32>(1.0), inside));
}

fn plus(sum: vec4<f32>, w: array<W, 4>, v: vec4<f32>) -> vec4<f32> {
    return sum + from_w(w[0]) * v.x + from_w(w[1]) * v.y + from_w(w[2]) * v.z + from_w(w[3]) * v.w;
}

// Adds what one group of inputs has in 4 pixels that follow each other.
fn add_four(sums: Sums, w: array<W, 4>, at: u32) -> Sums {
    return Sums(
        plus(sums[0], w, from_x(x[at])),
        plus(sums[1], w, from_x(x[at + 1u])),
        plus(sums[2], w, from_x(x[at + 2u])),
        plus(sums[3], w, from_x(x[at + 3u])),
    );
}

// As `add_four`, in pixels that lie anywhere.
fn add(sums: Sums, w: array<W, 4>, start: u32, at: vec4<u32>) -> Sums {
    return Sums(
        plus(sums[0], w, from_x(x[start + at.x])),
        plus(sums[1], w, from_x(x[start + at.y])),
        plus(sums[2], w, from_x(x[start + at.z])),
        plus(sums[3], w, from_x(x[start + at.w])),
    );
}

// As `add`, where some taps are outside of the image.
fn add_inside(sums: Sums, w: array<W, 4>, start: u32, taps: Taps) -> Sums {
    return Sums(
        plus(sums[0], w, from_x(x[start + taps.at.x]) * taps.weight.x),
        plus(sums[1], w, from_x(x[start + taps.at.y]) * taps.weight.y),
        plus(sums[2], w, from_x(x[start + taps.at.z]) * taps.weight.z),
        plus(sums[3], w, from_x(x[start + taps.at.w]) * taps.weight.w),
    );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let slice = slice_of(local);
    let groups = workgroup.y * (64u / SLICES);
    let first = workgroup.x * 4u;
    let image = workgroup.z * params.x_image / 4u;
    // Slices that have a group in each round, and then those that have one more.
    let whole = params.inputs / SLICES * SLICES;
    let group = groups + group_of(local);
    let tile = group / 4u * KERNEL_Y * KERNEL_X * params.inputs;
    let lane = slice * 4u + group % 4u;
    var sums = Sums();
    if POINTWISE {
        let w = tile * 4u + lane;
        var start = starts[slice];
        var k = 0u;
        for (; k < whole; k += SLICES) {
            let next = starts[k + SLICES + slice];
            sums = add_four(sums, weight[w + k * 4u], start + (image + first));
            start = next;
        }
        for (; k + slice < params.inputs; k += SLICES) {
            sums = add_four(sums, weight[w + k * 4u], start + (image + first));
        }
    } else {
        for (var ky = 0u; ky < KERNEL_Y; ky++) {
            for (var kx = 0u; kx < KERNEL_X; kx++) {
                let taps = taps(image, first, ky, kx);
                let w = (tile + (ky * KERNEL_X + kx) * params.inputs) * 4u + lane;
                let inside = all(taps.weight == vec4<f32>(1.0));
                var start = starts[slice];
                var k = 0u;
                if inside {
                    for (; k < whole; k += SLICES) {
                        let next = starts[k + SLICES + slice];
                        sums = add(sums, weight[w + k * 4u], start, taps.at);
                        start = next;
                    }
                }
                for (; k + slice < params.inputs; k += SLICES) {
                    sums = add_inside(sums, weight[w + k * 4u], starts[k + slice], taps);
                }
            }
        }
    }
    let total = total(local, sums);
    let out = groups + total.group;
    let pixel = first + total.pixel;
    if total.had && out < params.out_groups && pixel * 4u < params.y_group {
        var sum = bias[out] + total.sum;
        if ADD {
            sum += from_other(other[(workgroup.z * params.other_image + params.other_offset + out * params.y_group) / 4u + pixel]);
        }
        y[(workgroup.z * params.y_image + params.y_offset + out * params.y_group) / 4u + pixel] = to_y(act(sum));
    }
}
