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
// At most 16.
override KERNEL_X: u32 = 3u;

// From 1 to 8.
override TILE: u32 = 8u;

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
    let top = pixel / params.y_width * params.stride_y - params.top;
    let left = pixel % params.y_width * params.stride_x - params.left;
    // Rows and columns before the first are past the last, too.
    var inside: array<bool, 16>;
    for (var kx = 0u; kx < KERNEL_X; kx++) {
        inside[kx] = left + kx * params.dilation_x < params.x_width;
    }
    let inputs = params.inputs;
    let image = workgroup.z * params.x_image;
    let group = workgroup.y * TILE;
    var acc0 = bias[group];
    var acc1 = vec4<f32>();
    var acc2 = vec4<f32>();
    var acc3 = vec4<f32>();
    var acc4 = vec4<f32>();
    var acc5 = vec4<f32>();
    var acc6 = vec4<f32>();
    var acc7 = vec4<f32>();
    if TILE > 1u { acc1 = bias[group + 1u]; }
    if TILE > 2u { acc2 = bias[group + 2u]; }
    if TILE > 3u { acc3 = bias[group + 3u]; }
    if TILE > 4u { acc4 = bias[group + 4u]; }
    if TILE > 5u { acc5 = bias[group + 5u]; }
    if TILE > 6u { acc6 = bias[group + 6u]; }
    if TILE > 7u { acc7 = bias[group + 7u]; }
    var w = group * inputs * KERNEL_Y * KERNEL_X;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        let row = top + ky * params.dilation_y;
        let start = image + row * params.x_width + left;
        let row_inside = row < params.x_height;
        for (var i = 0u; i < inputs; i++) {
            let plane = start + planes[i];
            let normal = normal_of(i);
            for (var kx = 0u; kx < KERNEL_X; kx++) {
                let v = select(0.0, value(plane + kx * params.dilation_x, normal), row_inside && inside[kx]);
                acc0 += from_w(weight[w]) * v;
                if TILE > 1u { acc1 += from_w(weight[w + 1u]) * v; }
                if TILE > 2u { acc2 += from_w(weight[w + 2u]) * v; }
                if TILE > 3u { acc3 += from_w(weight[w + 3u]) * v; }
                if TILE > 4u { acc4 += from_w(weight[w + 4u]) * v; }
                if TILE > 5u { acc5 += from_w(weight[w + 5u]) * v; }
                if TILE > 6u { acc6 += from_w(weight[w + 6u]) * v; }
                if TILE > 7u { acc7 += from_w(weight[w + 7u]) * v; }
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
    if TILE > 6u { store(workgroup.z, group + 6u, pixel, acc6); }
    if TILE > 7u { store(workgroup.z, group + 7u, pixel, acc7); }
}
