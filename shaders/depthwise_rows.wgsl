// A convolution that keeps channels apart: y[c, p] = act(bias[c] + sum over ky, kx of weight[c, ky, kx] *
// x[c, p * stride + (ky, kx) * dilation - (top, left)]), for each image. Channels lie in groups of 4.
//
// One invocation computes one column of one group, ROWS rows of it: 1, or 2, which share what both their windows need, where
// the stride of rows is STRIDE and their dilation is 1. Dispatch: (columns * height / ROWS / 64,
// groups, batch), rounded up. planes: the element of x at which each channel lies, or where GROUPED only the first of each
// group counts, whose others lie beside it. weight: [group][KERNEL_Y][KERNEL_X][4]. bias: [group].
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;
override STRIDE: u32 = 1u;
// 1 or 2.
override ROWS: u32 = 2u;
override GROUPED: bool = true;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// A pixel of 4 channels, or where it is not `inside` the image, zeros, once it is loaded: so no load waits for another.
fn load(at: vec4<u32>, start: u32, column: u32, inside: bool) -> vec4<f32> {
    if GROUPED {
        return from_x(select(X(0), x[at.x / 4u + start + column], inside));
    }
    let i = at + (start + column) * params.x_pixel;
    return select(vec4<f32>(), vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w)), inside);
}

fn store(out: u32, row: u32, value: vec4<f32>) {
    if row < params.y_height {
        y[out + row * params.y_width] = to_y(act(value));
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let strip = workgroup.x * 64u + local;
    let group = workgroup.y;
    let out_column = strip % params.y_width;
    let out_row = strip / params.y_width * ROWS;
    if out_row >= params.y_height {
        return;
    }
    let height = i32(params.x_height);
    let width = i32(params.x_width);
    let down = i32(params.dilation_y);
    let across = i32(params.dilation_x);
    let top = i32(out_row * params.stride_y) - i32(params.top);
    let left = i32(out_column * params.stride_x) - i32(params.left);
    let origin = top * width;
    let at = planes[group] + workgroup.z * params.x_image;
    let b = bias[group];
    var acc0 = b;
    var acc1 = b;
    let w = group * KERNEL_Y * KERNEL_X;
    // Row `r` of x is row `r` of the first output's window, and row `r - STRIDE` of the second's.
    for (var r = 0u; r < KERNEL_Y + (ROWS - 1u) * STRIDE; r++) {
        let row = top + i32(r) * down;
        let row_inside = row >= 0 && row < height;
        let start = u32(select(0, origin + i32(r) * (down * width), row_inside));
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let column = left + i32(kx) * across;
            let inside = row_inside && column >= 0 && column < width;
            let v = load(at, start, u32(clamp(column, 0, width - 1)), inside);
            let tap = w + r * KERNEL_X + kx;
            if ROWS == 1u || r < KERNEL_Y {
                acc0 += from_w(weight[tap]) * v;
            }
            if ROWS == 2u && r >= STRIDE {
                acc1 += from_w(weight[tap - STRIDE * KERNEL_X]) * v;
            }
        }
    }
    let out = (workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 4u + out_column;
    store(out, out_row, acc0);
    if ROWS == 2u {
        store(out, out_row + 1u, acc1);
    }
}
