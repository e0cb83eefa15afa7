// A dense convolution of any kernel, stride and padding: y[o, p] = act(bias[o] + sum over k, ky, kx of weight[o, k, ky, kx] *
// x[k, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. Channels lie in groups of 4.
//
// One invocation computes 4 pixels of 2 groups of outputs. Dispatch: (pixels / 32, groups / 16, batch), rounded up. runs:
// the first and the end, in units of 4 elements, of groups that follow each other in x. weight: [tile][KERNEL_Y][KERNEL_X]
// [in group][2 groups][4 in][4 out], padded by zeros. bias: [tile][2 groups], likewise.
//
// Joined with: params, x, y, weights, other, activation.

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
