// A max pool: y[c, p] = the largest x[c, p * STRIDE + (ky, kx) - (top, left)] inside the image, for each image. Channels lie in
// groups of 4.
//
// One invocation computes one column of one group, `rows` rows of it. The padding must be less than KERNEL, so that no
// window lies outside the image. Dispatch: (columns * height / rows / 8, groups, batch), rounded up. planes: the element
// of x at which each channel lies, or where GROUPED only the first of each group counts, whose others lie beside it.
//
// Joined with: params, x, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

override KERNEL: u32 = 3u;
override STRIDE: u32 = 2u;
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

// The largest of a row's pixels from `left` on. Those outside are replaced by the nearest ones inside the window.
fn row_maximum(at: vec4<u32>, row: u32, left: i32) -> vec4<f32> {
    let last = i32(params.x_width) - 1;
    var best = load(at, row * params.x_width + u32(clamp(left, 0, last)));
    for (var kx = 1u; kx < KERNEL; kx++) {
        let column = u32(clamp(left + i32(kx), max(left, 0), last));
        best = max(best, load(at, row * params.x_width + column));
    }
    return best;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let strip = workgroup.x * 8u + local;
    let group = workgroup.y;
    let column = strip % params.y_width;
    let first = strip / params.y_width * params.rows;
    if first >= params.y_height {
        return;
    }
    let left = i32(column * STRIDE) - i32(params.left);
    let at = planes[group] + workgroup.z * params.x_image;
    var out = (workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 4u;
    out += first * params.y_width + column;
    let last_row = i32(params.x_height) - 1;
    let end = min(first + params.rows, params.y_height);
    var bottom = vec4<f32>();
    for (var i = first; i < end; i++) {
        let top = i32(i * STRIDE) - i32(params.top);
        // The last row of a window can be the first of the next.
        var best = bottom;
        if STRIDE + 1u != KERNEL || i == first {
            best = row_maximum(at, u32(clamp(top, 0, last_row)), left);
        }
        for (var ky = 1u; ky < KERNEL; ky++) {
            bottom = row_maximum(at, u32(clamp(top + i32(ky), max(top, 0), last_row)), left);
            best = max(best, bottom);
        }
        y[out] = to_y(best);
        out += params.y_width;
    }
}
