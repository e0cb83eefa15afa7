// A convolution of any kernel that keeps channels apart: y[c, p] = act(bias[c] + sum over ky, kx of weight[c, ky, kx] *
// x[c, p * stride + (ky, kx) * dilation - (top, left)]), for each image. Channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: the element of
// x at which each channel lies, or where GROUPED only the first of each group counts, whose others lie beside it. weight:
// [group][KERNEL_Y][KERNEL_X][4]. bias: [group].
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override KERNEL_Y: u32 = 5u;
override KERNEL_X: u32 = 5u;
override GROUPED: bool = true;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Pixel `p` of 4 channels.
fn load(at: vec4<u32>, p: u32) -> vec4<f32> {
    if GROUPED {
        return from_x(x[at.x / 4u + p]);
    }
    let i = at + p * params.x_pixel;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let at = planes[group] + id.z * params.x_image;
    let first_row = i32(pixel / params.y_width * params.stride_y) - i32(params.top);
    let first_column = i32(pixel % params.y_width * params.stride_x) - i32(params.left);
    var acc = bias[group];
    var w = group * KERNEL_Y * KERNEL_X;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        let row = first_row + i32(ky * params.dilation_y);
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let column = first_column + i32(kx * params.dilation_x);
            if row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width) {
                acc += from_w(weight[w]) * load(at, u32(row) * params.x_width + u32(column));
            }
            w++;
        }
    }
    y[(id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(act(acc));
}
