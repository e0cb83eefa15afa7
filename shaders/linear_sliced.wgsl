// A fully connected layer: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for each image.
//
// A workgroup computes one group of 4 outputs of up to 4 images. Of the inputs, 8 at a time, each invocation multiplies
// every 64th, so that neighbours read neighbouring inputs and weights; the workgroup adds up what they have. Dispatch:
// (groups, 1, batch), where in z only every 4th workgroup has work. planes: where in x, 4 inputs at a time, each lies, its
// end padded by any valid place; where DENSE only its first entry counts, from which on all inputs lie one behind the
// other. weight: [group][in / 8][4 out][8 in], padded by zeros. bias: [groups], likewise.
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<array<W, 8>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override DENSE: bool = true;

// For each image, the sums of all slices.
var<workgroup> sums: array<vec4<f32>, 256>;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Where an image begins, or where DENSE its inputs, in units of 4 elements.
fn start(image: u32) -> u32 {
    if DENSE {
        return (image * params.x_image + planes[0].x) / 4u;
    }
    return image * params.x_image;
}

// Inputs `4 (k + own)` to `4 (k + own) + 3`, where only `own` differs within a workgroup.
fn load(at: u32, k: u32, own: u32) -> vec4<f32> {
    if DENSE {
        return from_x(x[(at + k) + own]);
    }
    let i = planes[k + own] + at;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

// What 4 inputs add to 4 outputs: the first or the second half of `w`.
fn add(acc: vec4<f32>, w: array<W, 8>, half: u32, v: vec4<f32>) -> vec4<f32> {
    let w0 = from_w(w[half]);
    let w1 = from_w(w[half + 2u]);
    let w2 = from_w(w[half + 4u]);
    let w3 = from_w(w[half + 6u]);
    var sum = fma(vec4<f32>(w0.x, w1.x, w2.x, w3.x), v.xxxx, acc);
    sum = fma(vec4<f32>(w0.y, w1.y, w2.y, w3.y), v.yyyy, sum);
    sum = fma(vec4<f32>(w0.z, w1.z, w2.z, w3.z), v.zzzz, sum);
    return fma(vec4<f32>(w0.w, w1.w, w2.w, w3.w), v.wwww, sum);
}

// What 8 inputs add, from input `4 (k + own)` on of those that begin at `at`.
fn add_two(acc: vec4<f32>, w: array<W, 8>, at: u32, k: u32, own: u32) -> vec4<f32> {
    return add(add(acc, w, 0u, load(at, k, own)), w, 1u, load(at, k, own + 1u));
}

// As `add_two` from input `4 k` on, where the second 4 may be past the last.
fn add_last(acc: vec4<f32>, w: array<W, 8>, at: u32, k: u32) -> vec4<f32> {
    let next = load(at, 0u, min(k + 1u, params.inputs - 1u));
    return add(add(acc, w, 0u, load(at, 0u, k)), w, 1u, select(vec4<f32>(), next, k + 1u < params.inputs));
}

// For each image, 4 times `count` sums become as many as `count`, of an invocation each.
fn add_up(local: u32, count: u32) {
    workgroupBarrier();
    let lane = local % 16u;
    if lane < count {
        let at = local / 16u * 64u + lane;
        sums[at] = (sums[at] + sums[at + count]) + (sums[at + count * 2u] + sums[at + count * 3u]);
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.x;
    let first = workgroup.z;
    if first % 4u != 0u {
        return;
    }
    // Images past the last are computed as the last, and not stored.
    let last = workgroups.z - 1u;
    let at0 = start(first);
    let at1 = start(min(first + 1u, last));
    let at2 = start(min(first + 2u, last));
    let at3 = start(min(first + 3u, last));
    var acc0 = vec4<f32>();
    var acc1 = vec4<f32>();
    var acc2 = vec4<f32>();
    var acc3 = vec4<f32>();
    let inputs = params.inputs;
    let row = group * ((inputs + 1u) / 2u);
    // Up to here each invocation has two to multiply.
    let whole = inputs / 128u * 128u;
    let own = local * 2u;
    var i = row;
    if first == last {
        for (var k = 0u; k < whole; k += 128u) {
            let w = weight[i + local];
            acc0 = add_two(acc0, w, at0, k, own);
            i += 64u;
        }
        for (var k = whole + own; k < inputs; k += 128u) {
            acc0 = add_last(acc0, weight[row + k / 2u], at0, k);
        }
    } else {
        for (var k = 0u; k < whole; k += 128u) {
            let w = weight[i + local];
            acc0 = add_two(acc0, w, at0, k, own);
            acc1 = add_two(acc1, w, at1, k, own);
            acc2 = add_two(acc2, w, at2, k, own);
            acc3 = add_two(acc3, w, at3, k, own);
            i += 64u;
        }
        for (var k = whole + own; k < inputs; k += 128u) {
            let w = weight[row + k / 2u];
            acc0 = add_last(acc0, w, at0, k);
            acc1 = add_last(acc1, w, at1, k);
            acc2 = add_last(acc2, w, at2, k);
            acc3 = add_last(acc3, w, at3, k);
        }
    }
    sums[local] = acc0;
    sums[local + 64u] = acc1;
    sums[local + 128u] = acc2;
    sums[local + 192u] = acc3;
    add_up(local, 16u);
    add_up(local, 4u);
    add_up(local, 1u);
    let image = first + local / 16u;
    if local % 16u == 0u && image <= last {
        let out = (image * params.y_image + params.y_offset) / 4u + group;
        y[out] = to_y(act(sums[local * 4u] + bias[group]));
    }
}
