// A convolution of planes that lie one behind the other: y[o, p] = act(bias[o] + sum over i, ky, kx of
// weight[o, i, ky, kx] * x[i, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. In y channels
// lie in groups of 4.
//
// One invocation computes one pixel of TILE groups of outputs, so that a number of x is loaded once for all of them.
// Dispatch: (pixels / 64, groups / TILE, batch), rounded up. planes: the element of x at which each input lies. weight:
// [tile][in][KERNEL_Y][KERNEL_X][TILE][4], padded by zeros. bias: [tile][TILE], likewise.
//
// Joined with: params, x_planes, y, weights, other, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// Whether the other is added.
override ADD: bool = false;

override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;

// From 1 to 6.
override TILE: u32 = 6u;

fn store(image: u32, group: u32, pixel: u32, value: vec4<f32>) {
    if group >= params.out_groups {
        return;
    }
    var sum = value;
    if ADD {
        sum += from_other(other[(image * params.other_image + params.other_offset + group * params.y_group) / 4u + pixel]);
    }
    y[(image * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(act(sum));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let pixel = workgroup.x * 64u + local;
    if pixel * 4u >= params.y_group {
        return;
    }
    let top = i32(pixel / params.y_width * params.stride_y) - i32(params.top);
    let left = i32(pixel % params.y_width * params.stride_x) - i32(params.left);
    let height = i32(params.x_height);
    let width = i32(params.x_width);
    let down = i32(params.dilation_y);
    let across = i32(params.dilation_x);
    let inputs = params.inputs;
    let image = workgroup.z * params.x_image;
    let group = workgroup.y * TILE;
    var acc0 = bias[group];
    var acc1 = vec4<f32>();
    var acc2 = vec4<f32>();
    var acc3 = vec4<f32>();
    var acc4 = vec4<f32>();
    var acc5 = vec4<f32>();
    if TILE > 1u { acc1 = bias[group + 1u]; }
    if TILE > 2u { acc2 = bias[group + 2u]; }
    if TILE > 3u { acc3 = bias[group + 3u]; }
    if TILE > 4u { acc4 = bias[group + 4u]; }
    if TILE > 5u { acc5 = bias[group + 5u]; }
    var w = group * inputs * KERNEL_Y * KERNEL_X;
    for (var i = 0u; i < inputs; i++) {
        let plane = image + planes[i];
        for (var ky = 0u; ky < KERNEL_Y; ky++) {
            let row = top + i32(ky) * down;
            let row_inside = row >= 0 && row < height;
            let start = plane + u32(clamp(row, 0, height - 1) * width);
            for (var kx = 0u; kx < KERNEL_X; kx++) {
                // What lies outside is replaced by zero once it is loaded, so that no load waits for another.
                let column = left + i32(kx) * across;
                let inside = row_inside && column >= 0 && column < width;
                let v = select(0.0, value(start + u32(clamp(column, 0, width - 1)), i), inside);
                acc0 += from_w(weight[w]) * v;
                if TILE > 1u { acc1 += from_w(weight[w + 1u]) * v; }
                if TILE > 2u { acc2 += from_w(weight[w + 2u]) * v; }
                if TILE > 3u { acc3 += from_w(weight[w + 3u]) * v; }
                if TILE > 4u { acc4 += from_w(weight[w + 4u]) * v; }
                if TILE > 5u { acc5 += from_w(weight[w + 5u]) * v; }
                w += TILE;
            }
        }
    }
    store(workgroup.z, group, pixel, acc0);
    if TILE > 1u { store(workgroup.z, group + 1u, pixel, acc1); }
    if TILE > 2u { store(workgroup.z, group + 2u, pixel, acc2); }
    if TILE > 3u { store(workgroup.z, group + 3u, pixel, acc3); }
    if TILE > 4u { store(workgroup.z, group + 4u, pixel, acc4); }
    if TILE > 5u { store(workgroup.z, group + 5u, pixel, acc5); }
}
