// As depthwise, two columns an invocation, where every load costs, as on a CPU: y[c, p] = act(bias[c] + sum over ky, kx of
// weight[c, ky, kx] * x[c, p * STRIDE + (ky, kx) - (top, left)]), for each image. Channels lie in groups of 4. Rows of x and
// y must be of an even number of pixels, so that two lie where one load finds them.
//
// Dispatch: (columns / 2 * height / rows / 8, groups, batch), rounded up. planes: the element of x at which each channel
// lies, of which only the first of each group counts, whose others lie beside it. weight: [group][3][3][4]. bias: [group].
//
// Joined with: params, x_pairs, y_pairs, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override STRIDE: u32 = 1u;
// Whether the first window begins with the second pixel of two.
override ODD: bool = true;
// What two windows see of a row: 3 neighbours each, of which they may share some.
struct Row {
    left: mat3x4<f32>,
    right: mat3x4<f32>,
}

// Pairs of columns that lie side by side, and whether they lie in the image.
struct Columns {
    pairs: vec3<u32>,
    inside: vec3<bool>,
}

fn load(at: u32, row: i32, columns: Columns) -> Row {
    let inside = row >= 0 && row < i32(params.x_height);
    let start = at + u32(clamp(row, 0, i32(params.x_height) - 1)) * params.x_width / 2u;
    let p = x[start + columns.pairs.x];
    let q = x[start + columns.pairs.y];
    let r = x[start + columns.pairs.z];
    let none = vec4<f32>();
    let a = select(none, first_x(p), inside && columns.inside.x);
    let b = select(none, second_x(p), inside && columns.inside.x);
    let c = select(none, first_x(q), inside && columns.inside.y);
    let d = select(none, second_x(q), inside && columns.inside.y);
    let e = select(none, first_x(r), inside && columns.inside.z);
    let f = select(none, second_x(r), inside && columns.inside.z);
    if ODD {
        if STRIDE == 1u {
            return Row(mat3x4<f32>(b, c, d), mat3x4<f32>(c, d, e));
        }
        return Row(mat3x4<f32>(b, c, d), mat3x4<f32>(d, e, f));
    }
    if STRIDE == 1u {
        return Row(mat3x4<f32>(a, b, c), mat3x4<f32>(b, c, d));
    }
    return Row(mat3x4<f32>(a, b, c), mat3x4<f32>(c, d, e));
}

fn window(sum: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, row: mat3x4<f32>) -> vec4<f32> {
    return sum + w0 * row[0] + w1 * row[1] + w2 * row[2];
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let strip = workgroup.x * 8u + local;
    let group = workgroup.y;
    let across = params.y_width / 2u;
    let pair = strip % across;
    let first = strip / across * params.rows;
    if first >= params.y_height {
        return;
    }
    // Pairs of x, the first of which may lie before the image.
    let last = i32(params.x_width / 2u) - 1;
    let left = i32(pair * STRIDE) - i32((params.left + 1u) / 2u);
    let pairs = vec3<i32>(left, left + 1, left + 2);
    let within = clamp(pairs, vec3<i32>(), vec3<i32>(last));
    let columns = Columns(vec3<u32>(within), pairs == within);
    let at = (planes[group].x + workgroup.z * params.x_image) / 8u;
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

    var out = (workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 8u;
    out += first * across + pair;
    var row = i32(first * STRIDE) - i32(params.top);
    var top = load(at, row, columns);
    var middle = load(at, row + 1, columns);
    var bottom = load(at, row + 2, columns);
    let end = min(first + params.rows, params.y_height);
    for (var i = first; i < end; i++) {
        let l = window(window(window(b, w0, w1, w2, top.left), w3, w4, w5, middle.left), w6, w7, w8, bottom.left);
        let r = window(window(window(b, w0, w1, w2, top.right), w3, w4, w5, middle.right), w6, w7, w8, bottom.right);
        y[out] = Y(to_y(act(l)), to_y(act(r)));
        out += across;
        if i + 1u == end {
            break;
        }
        row += i32(STRIDE);
        if STRIDE == 1u {
            top = middle;
            middle = bottom;
        } else {
            top = bottom;
            middle = load(at, row + 1, columns);
        }
        bottom = load(at, row + 2, columns);
    }
}
