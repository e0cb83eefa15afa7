// A convolution of any kernel, stride, padding and grouping: y[o, p] = act(bias[o] + sum over i, ky, kx of
// weight[o, i, ky, kx] * x[i, p * stride + (ky, kx) * dilation - (top, left)] + other[o, p]), for each image. In y channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: for each
// input of each group of outputs, the elements of x at which the planes that its 4 outputs read begin. Where SHARED all
// outputs read the same inputs, and there is one plane an input. weight: [group][in][KERNEL_Y][KERNEL_X][4], padded by zeros.
// bias: [group], likewise.
//
// Joined with: params, x_elements, y, weights, other, activation.

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
override SHARED: bool = true;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let image = id.z * params.x_image;
    let top = i32(pixel / params.y_width * params.stride_y) - i32(params.top);
    let left = i32(pixel % params.y_width * params.stride_x) - i32(params.left);
    var acc = bias[group];
    var w = group * params.inputs * KERNEL_Y * KERNEL_X;
    for (var i = 0u; i < params.inputs; i++) {
        var at = vec4<u32>(image);
        if SHARED {
            at.x += planes[i];
        } else {
            let entry = (group * params.inputs + i) * 4u;
            at += vec4<u32>(planes[entry], planes[entry + 1u], planes[entry + 2u], planes[entry + 3u]);
        }
        for (var ky = 0u; ky < KERNEL_Y; ky++) {
            let row = top + i32(ky * params.dilation_y);
            for (var kx = 0u; kx < KERNEL_X; kx++) {
                let column = left + i32(kx * params.dilation_x);
                if row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width) {
                    let p = (u32(row) * params.x_width + u32(column)) * params.x_pixel;
                    if SHARED {
                        acc += from_w(weight[w]) * element(at.x + p);
                    } else {
                        acc += from_w(weight[w]) * vec4<f32>(element(at.x + p), element(at.y + p), element(at.z + p), element(at.w + p));
                    }
                }
                w++;
            }
        }
    }
    let out = (id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel;
    if ADD {
        acc += from_other(other[(id.z * params.other_image + params.other_offset + group * params.y_group) / 4u + pixel]);
    }
    y[out] = to_y(act(acc));
}
