// A 1x1 convolution where every load costs, as on a CPU: y[o, p] = act(bias[o] + sum over k of weight[o, k] * x[k, p] +
// other[o, p]), for each image. Channels lie in groups of 4.
//
// One invocation computes 4 pixels of 8 groups of outputs. Every lane needs all weights; each loads an eighth of them,
// and subgroupBroadcast spreads them, so a subgroup must have at least 8 lanes. A load costs as much for each number as it
// is wide, so two numbers are loaded as one of 64 bits. Dispatch: (pixels / 32, groups / 8, batch), rounded up. runs: the
// first and the end, in units of 4 elements, of groups that follow each other in x. weight: [tile][in group][8 groups][4
// in][4 out], padded by zeros. bias: [tile][8 groups], likewise.
//
// Joined with: params, x_pairs, y_pairs, weights_pairs, other, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> runs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// Whether each group has an even number of pixels, so that two lie where one load finds them.
override PAIRS: bool = true;
// Whether the other is added.
override ADD: bool = false;

// One pixel a column.
alias Pixels = mat4x4<f32>;

// The weights of a group of outputs, one input a column, of which two lanes hold two each: these are lanes 0 and 1.
fn lanes_0(first: vec4<f32>, second: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(first, 0u),
        subgroupBroadcast(second, 0u),
        subgroupBroadcast(first, 1u),
        subgroupBroadcast(second, 1u),
    );
}

// Lanes 2 and 3.
fn lanes_2(first: vec4<f32>, second: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(first, 2u),
        subgroupBroadcast(second, 2u),
        subgroupBroadcast(first, 3u),
        subgroupBroadcast(second, 3u),
    );
}

// Lanes 4 and 5.
fn lanes_4(first: vec4<f32>, second: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(first, 4u),
        subgroupBroadcast(second, 4u),
        subgroupBroadcast(first, 5u),
        subgroupBroadcast(second, 5u),
    );
}

// Lanes 6 and 7.
fn lanes_6(first: vec4<f32>, second: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        subgroupBroadcast(first, 6u),
        subgroupBroadcast(second, 6u),
        subgroupBroadcast(first, 7u),
        subgroupBroadcast(second, 7u),
    );
}

fn same(v: vec4<f32>) -> Pixels {
    return Pixels(v, v, v, v);
}

fn finish(added: u32, pixel: u32, value: vec4<f32>) -> HalfY {
    if ADD {
        return to_y(act(value + from_other(other[added + pixel])));
    }
    return to_y(act(value));
}

// Two pixels that follow each other, as far as there are so many.
fn store_two(at: u32, added: u32, pixel: u32, first: vec4<f32>, second: vec4<f32>) {
    let left = params.y_group / 4u - min(pixel, params.y_group / 4u);
    let a = finish(added, pixel, first);
    let b = finish(added, pixel + 1u, second);
    if PAIRS {
        if left > 0u {
            y[(at + pixel) / 2u] = Y(a, b);
        }
        return;
    }
    if left > 0u {
        store_one(at + pixel, a);
    }
    if left > 1u {
        store_one(at + pixel + 1u, b);
    }
}

// A pixel that may be the first of two or the second.
fn store_one(i: u32, value: HalfY) {
    y[i / 2u][i % 2u * 2u] = value.x;
    y[i / 2u][i % 2u * 2u + 1u] = value.y;
}

fn store(image: u32, group: u32, pixel: u32, acc: Pixels) {
    if group < params.out_groups {
        let at = (image * params.y_image + params.y_offset + group * params.y_group) / 4u;
        let added = (image * params.other_image + params.other_offset + group * params.y_group) / 4u;
        store_two(at, added, pixel, acc[0], acc[1]);
        store_two(at, added, pixel + 16u, acc[2], acc[3]);
    }
}

// A pixel that may be the first of two or the second.
fn one(i: u32) -> vec4<f32> {
    let pair = x[i / 2u];
    return select(first_x(pair), second_x(pair), i % 2u == 1u);
}

// The 4 pixels at these places, of which the second and the fourth lie behind the others where there are PAIRS.
fn load(at: vec4<u32>) -> Pixels {
    if PAIRS {
        let v = x[at.x / 2u];
        let u = x[at.z / 2u];
        return Pixels(first_x(v), second_x(v), first_x(u), second_x(u));
    }
    return Pixels(one(at.x), one(at.y), one(at.z), one(at.w));
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let pixels = params.y_group / 4u;
    let pixel = workgroup.x * 32u + local * 2u;
    // Pixels past the last are computed as the last, and not stored.
    let at = workgroup.z * params.x_image / 4u + min(pixel + vec4<u32>(0u, 1u, 16u, 17u), vec4<u32>(pixels - 1u));

    let group = workgroup.y * 8u;
    var acc0 = same(bias[group]);
    var acc1 = same(bias[group + 1u]);
    var acc2 = same(bias[group + 2u]);
    var acc3 = same(bias[group + 3u]);
    var acc4 = same(bias[group + 4u]);
    var acc5 = same(bias[group + 5u]);
    var acc6 = same(bias[group + 6u]);
    var acc7 = same(bias[group + 7u]);

    var w = workgroup.y * params.inputs * 16u + lane;
    for (var r = 0u; r < params.runs; r++) {
        let run = runs[r];
        for (var k = run.x; k < run.y; k += pixels) {
            let v = load(at + k);
            let w0 = weight[w];
            let a = first_w(w0);
            let b = second_w(w0);
            acc0 += lanes_0(a, b) * v;
            acc1 += lanes_2(a, b) * v;
            acc2 += lanes_4(a, b) * v;
            acc3 += lanes_6(a, b) * v;
            let w1 = weight[w + 8u];
            let c = first_w(w1);
            let d = second_w(w1);
            acc4 += lanes_0(c, d) * v;
            acc5 += lanes_2(c, d) * v;
            acc6 += lanes_4(c, d) * v;
            acc7 += lanes_6(c, d) * v;
            w += 16u;
        }
    }

    store(workgroup.z, group, pixel, acc0);
    store(workgroup.z, group + 1u, pixel, acc1);
    store(workgroup.z, group + 2u, pixel, acc2);
    store(workgroup.z, group + 3u, pixel, acc3);
    store(workgroup.z, group + 4u, pixel, acc4);
    store(workgroup.z, group + 5u, pixel, acc5);
    store(workgroup.z, group + 6u, pixel, acc6);
    store(workgroup.z, group + 7u, pixel, acc7);
}
