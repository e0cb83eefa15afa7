// A 3x3 convolution that keeps channels apart: y[c, p] = act(bias[c] + sum over ky, kx of weight[c, ky, kx] *
// x[c, p * STRIDE + (ky, kx) - (top, left)]), for each image. Channels lie in groups of 4.
//
// One invocation computes one column of one group, `rows` rows of it, and reads each of its 3 x 3 windows but for the rows
// that the window above had too. Dispatch: (columns * height / rows / 8, groups, batch), rounded up. planes: the
// element of x at which each channel lies, or where GROUPED only the first of each group counts, whose others lie beside
// it. weight: [group][3][3][4]. bias: [group].
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override STRIDE: u32 = 1u;
override GROUPED: bool = true;

// Three neighbours in a row.
struct Window {
    left: vec4<f32>,
    middle: vec4<f32>,
    right: vec4<f32>,
}

// Where the columns of the windows lie in a row of x, and whether they do.
struct Columns {
    left: u32,
    middle: u32,
    right: u32,
    left_inside: bool,
    middle_inside: bool,
    right_inside: bool,
}

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Pixel `p` of 4 channels.
fn pixel(at: vec4<u32>, p: u32) -> vec4<f32> {
    if GROUPED {
        return from_x(x[at.x / 4u + p]);
    }
    let i = at + p * params.x_pixel;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

fn load(at: vec4<u32>, row: i32, columns: Columns) -> Window {
    let inside = row >= 0 && row < i32(params.x_height);
    let start = u32(clamp(row, 0, i32(params.x_height) - 1)) * params.x_width;
    return Window(
        select(vec4<f32>(), pixel(at, start + columns.left), inside && columns.left_inside),
        select(vec4<f32>(), pixel(at, start + columns.middle), inside && columns.middle_inside),
        select(vec4<f32>(), pixel(at, start + columns.right), inside && columns.right_inside),
    );
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
    let last = i32(params.x_width) - 1;
    let left = i32(column * STRIDE) - i32(params.left);
    let columns = Columns(
        u32(clamp(left, 0, last)),
        u32(clamp(left + 1, 0, last)),
        u32(clamp(left + 2, 0, last)),
        left >= 0 && left <= last,
        left + 1 >= 0 && left + 1 <= last,
        left + 2 >= 0 && left + 2 <= last,
    );
    let at = planes[group] + workgroup.z * params.x_image;
    let w0 = from_w(weight[group * 9u]);
    let w1 = from_w(weight[group * 9u + 1u]);
    let w2 = from_w(weight[group * 9u + 2u]);
    let w3 = from_w(weight[group * 9u + 3u]);
    let w4 = from_w(weight[group * 9u + 4u]);
    let w5 = from_w(weight[group * 9u + 5u]);
    let w6 = from_w(weight[group * 9u + 6u]);
    let w7 = from_w(weight[group * 9u + 7u]);
    let w8 = from_w(weight[group * 9u + 8u]);
    let b = bias[group];

    var out = (workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 4u;
    out += first * params.y_width + column;
    var row = i32(first * STRIDE) - i32(params.top);
    var top = load(at, row, columns);
    var middle = load(at, row + 1, columns);
    var bottom = load(at, row + 2, columns);
    let end = min(first + params.rows, params.y_height);
    for (var i = first; i < end; i++) {
        var acc = b + w0 * top.left + w1 * top.middle + w2 * top.right;
        acc += w3 * middle.left + w4 * middle.middle + w5 * middle.right;
        acc += w6 * bottom.left + w7 * bottom.middle + w8 * bottom.right;
        y[out] = to_y(act(acc));
        out += params.y_width;
        if i + 1u == end {
            break;
        }
        row += i32(STRIDE);
        if STRIDE == 1u {
            top = middle;
            middle = bottom;
        } else if STRIDE == 2u {
            top = bottom;
            middle = load(at, row + 1, columns);
        } else {
            top = load(at, row, columns);
            middle = load(at, row + 1, columns);
        }
        bottom = load(at, row + 2, columns);
    }
}
