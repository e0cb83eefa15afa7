// A max pool: y[c, p] = the largest x[c, p * STRIDE + (ky, kx) - (top, left)] inside the image, for each image. Channels lie in
// groups of 4.
//
// One invocation computes one column of one group, ROWS rows of it: 1, or 2, which share what both their windows need. The
// padding must be less than KERNEL, so that no window lies outside the image. Dispatch: (columns * height / ROWS / 64,
// groups, batch), rounded up. planes: the element of x at which each channel lies, or where GROUPED only the first of each
// group counts, whose others lie beside it.
//
// Joined with: params, x, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

override KERNEL: u32 = 3u;
override STRIDE: u32 = 2u;
// 1 or 2.
override ROWS: u32 = 2u;
override GROUPED: bool = true;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// A pixel of 4 channels.
fn load(at: vec4<u32>, start: u32, column: u32) -> vec4<f32> {
    if GROUPED {
        return from_x(x[at.x / 4u + start + column]);
    }
    let i = at + (start + column) * params.x_pixel;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
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
    let last_row = i32(params.x_height) - 1;
    let last_column = i32(params.x_width) - 1;
    let top = i32(out_row * STRIDE) - i32(params.top);
    let left = i32(out_column * STRIDE) - i32(params.left);
    let at = planes[group] + workgroup.z * params.x_image;
    var best0 = vec4<f32>();
    var best1 = vec4<f32>();
    // Row `r` of x is row `r` of the first output's window, and row `r - STRIDE` of the second's. What lies outside the image
    // is replaced by the nearest inside, which belongs to every window that reaches out there.
    for (var r = 0u; r < KERNEL + (ROWS - 1u) * STRIDE; r++) {
        let start = u32(clamp(top + i32(r), 0, last_row)) * params.x_width;
        var best = load(at, start, u32(clamp(left, 0, last_column)));
        for (var kx = 1u; kx < KERNEL; kx++) {
            best = max(best, load(at, start, u32(clamp(left + i32(kx), 0, last_column))));
        }
        if r == 0u {
            best0 = best;
        } else if ROWS == 1u || r < KERNEL {
            best0 = max(best0, best);
        }
        if ROWS == 2u && r == STRIDE {
            best1 = best;
        } else if ROWS == 2u && r > STRIDE {
            best1 = max(best1, best);
        }
    }
    let out = (workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 4u + out_column;
    y[out + out_row * params.y_width] = to_y(best0);
    if ROWS == 2u && out_row + 1u < params.y_height {
        y[out + (out_row + 1u) * params.y_width] = to_y(best1);
    }
}
