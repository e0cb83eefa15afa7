// A 3x3 convolution of stride 2 over planes, where every load costs, as on a CPU: y[o, p] = act(bias[o] + sum over i, ky,
// kx of weight[o, i, ky, kx] * x[i, p * 2 + (ky, kx) - (top, left)]), for each image. In y channels lie in groups of 4.
//
// One invocation computes 4 pixels of a row of 6 groups of outputs. Every lane needs all weights; each loads an eighth of
// them, and subgroupBroadcast spreads them, so a subgroup must have at least 8 lanes. Dispatch: (width / 4 * height / 8,
// groups / 6, batch), rounded up. planes: the element of x at which each input lies. weight: [tile][in][3][24][4 out],
// where 3 of the 24 are the kernel's columns for each of the 6 groups, padded by zeros. bias: [tile][6], likewise.
//
// Joined with: params, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

// One pixel a column.
alias Pixels = mat4x4<f32>;

fn same(v: vec4<f32>) -> Pixels {
    return Pixels(v, v, v, v);
}

fn store_one(at: u32, column: u32, value: vec4<f32>) {
    if column < params.y_width {
        y[at + column] = to_y(act(value));
    }
}

fn store(image: u32, group: u32, row: u32, column: u32, acc: Pixels) {
    if group < params.out_groups && row < params.y_height {
        let at = (image * params.y_image + params.y_offset + group * params.y_group) / 4u + row * params.y_width;
        store_one(at, column, acc[0]);
        store_one(at, column + 1u, acc[1]);
        store_one(at, column + 2u, acc[2]);
        store_one(at, column + 3u, acc[3]);
    }
}

// The pixel of a row that begins at element `at`, or 0 outside of it.
fn load(at: u32, column: i32, inside: bool) -> f32 {
    let last = i32(params.x_width) - 1;
    return select(0.0, x[at + u32(clamp(column, 0, last))], inside && column >= 0 && column <= last);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let quads = (params.y_width + 3u) / 4u;
    let quad = workgroup.x * 8u + local;
    let out_row = quad / quads;
    let out_column = quad % quads * 4u;
    let top = i32(out_row * 2u) - i32(params.top);
    let left = i32(out_column * 2u) - i32(params.left);
    let last_row = i32(params.x_height) - 1;

    let group = workgroup.y * 6u;
    var acc0 = same(bias[group]);
    var acc1 = same(bias[group + 1u]);
    var acc2 = same(bias[group + 2u]);
    var acc3 = same(bias[group + 3u]);
    var acc4 = same(bias[group + 4u]);
    var acc5 = same(bias[group + 5u]);
    var w = workgroup.y * params.inputs * 72u + lane;
    for (var i = 0u; i < params.inputs; i++) {
        let plane = workgroup.z * params.x_image + planes[i];
        for (var ky = 0u; ky < 3u; ky++) {
            let row = top + i32(ky);
            let inside = row >= 0 && row <= last_row;
            let at = plane + u32(clamp(row, 0, last_row)) * params.x_width;
            let v2 = load(at, left + 2, inside);
            let v4 = load(at, left + 4, inside);
            let v6 = load(at, left + 6, inside);
            let v = mat4x3<f32>(
                load(at, left, inside), load(at, left + 1, inside), v2,
                v2, load(at, left + 3, inside), v4,
                v4, load(at, left + 5, inside), v6,
                v6, load(at, left + 7, inside), load(at, left + 8, inside),
            );
            let a = from_w(weight[w]);
            let b = from_w(weight[w + 8u]);
            let c = from_w(weight[w + 16u]);
            acc0 += mat3x4<f32>(subgroupBroadcast(a, 0u), subgroupBroadcast(a, 1u), subgroupBroadcast(a, 2u)) * v;
            acc1 += mat3x4<f32>(subgroupBroadcast(a, 3u), subgroupBroadcast(a, 4u), subgroupBroadcast(a, 5u)) * v;
            acc2 += mat3x4<f32>(subgroupBroadcast(a, 6u), subgroupBroadcast(a, 7u), subgroupBroadcast(b, 0u)) * v;
            acc3 += mat3x4<f32>(subgroupBroadcast(b, 1u), subgroupBroadcast(b, 2u), subgroupBroadcast(b, 3u)) * v;
            acc4 += mat3x4<f32>(subgroupBroadcast(b, 4u), subgroupBroadcast(b, 5u), subgroupBroadcast(b, 6u)) * v;
            acc5 += mat3x4<f32>(subgroupBroadcast(b, 7u), subgroupBroadcast(c, 0u), subgroupBroadcast(c, 1u)) * v;
            w += 24u;
        }
    }
    store(workgroup.z, group, out_row, out_column, acc0);
    store(workgroup.z, group + 1u, out_row, out_column, acc1);
    store(workgroup.z, group + 2u, out_row, out_column, acc2);
    store(workgroup.z, group + 3u, out_row, out_column, acc3);
    store(workgroup.z, group + 4u, out_row, out_column, acc4);
    store(workgroup.z, group + 5u, out_row, out_column, acc5);
}
