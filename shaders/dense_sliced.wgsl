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

// What one group of inputs has in 4 pixels.
struct Pixels {
    a: X,
    b: X,
    c: X,
    d: X,
}

fn load_four(at: u32) -> Pixels {
    return Pixels(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
}

fn load(start: u32, at: vec4<u32>) -> Pixels {
    return Pixels(x[start + at.x], x[start + at.y], x[start + at.z], x[start + at.w]);
}

fn add(sums: Sums, w: array<W, 4>, v: Pixels) -> Sums {
    return Sums(
        plus(sums[0], w, from_x(v.a)),
        plus(sums[1], w, from_x(v.b)),
        plus(sums[2], w, from_x(v.c)),
        plus(sums[3], w, from_x(v.d)),
    );
}

// As `add`, where some taps are outside of the image.
fn add_inside(sums: Sums, w: array<W, 4>, v: Pixels, inside: vec4<f32>) -> Sums {
    return Sums(
        plus(sums[0], w, from_x(v.a) * inside.x),
        plus(sums[1], w, from_x(v.b) * inside.y),
        plus(sums[2], w, from_x(v.c) * inside.z),
        plus(sums[3], w, from_x(v.d) * inside.w),
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
    // The next place is on its way while what lies at the last is added.
    if POINTWISE {
        let w = tile * 4u + lane;
        var start = starts[slice];
        var k = 0u;
        for (; k < whole; k += SLICES) {
            let v = load_four(start + (image + first));
            start = starts[k + SLICES + slice];
            sums = add(sums, weight[k * 4u + w], v);
        }
        for (; k + slice < params.inputs; k += SLICES) {
            sums = add(sums, weight[k * 4u + w], load_four(start + (image + first)));
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
                    // As `k * 4`, which the compiler would not keep for all invocations together.
                    var i = 0u;
                    for (; k < whole; k += SLICES) {
                        let v = load(start, taps.at);
                        start = starts[k + SLICES + slice];
                        sums = add(sums, weight[i + w], v);
                        i += SLICES * 4u;
                    }
                }
                for (; k + slice < params.inputs; k += SLICES) {
                    let v = load(starts[k + slice], taps.at);
                    sums = add_inside(sums, weight[k * 4u + w], v, taps.weight);
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
