// A fully connected layer: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for each image.
//
// A workgroup computes one group of 4 outputs of up to 4 images. Of the inputs, 4 at a time, each invocation multiplies
// every 64th, so that neighbours read neighbouring inputs and weights; the workgroup adds up what they have. Dispatch:
// (groups, 1, batch), where in z only every 4th workgroup has work. planes: where in x, 4 inputs at a time, each lies, its
// end padded by any valid place; where DENSE only its first entry counts, from which on all inputs lie one behind the
// other. weight: [out][in / 4][4 in], padded by zeros to whole groups of both. bias: [groups], likewise.
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
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

// Inputs `4 k` to `4 k + 3`.
fn load(at: u32, k: u32) -> vec4<f32> {
    if DENSE {
        return from_x(x[at + k]);
    }
    let i = planes[k] + at;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

// What 4 inputs add to 4 outputs; `w` has an output a column.
fn add(acc: vec4<f32>, w: mat4x4<f32>, v: vec4<f32>) -> vec4<f32> {
    var sum = fma(vec4<f32>(w[0].x, w[1].x, w[2].x, w[3].x), v.xxxx, acc);
    sum = fma(vec4<f32>(w[0].y, w[1].y, w[2].y, w[3].y), v.yyyy, sum);
    sum = fma(vec4<f32>(w[0].z, w[1].z, w[2].z, w[3].z), v.zzzz, sum);
    return fma(vec4<f32>(w[0].w, w[1].w, w[2].w, w[3].w), v.wwww, sum);
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
    let row = group * 4u * inputs;
    for (var k = local; k < inputs; k += 64u) {
        let i = row + k;
        let w = mat4x4<f32>(
            from_w(weight[i]),
            from_w(weight[i + inputs]),
            from_w(weight[i + inputs * 2u]),
            from_w(weight[i + inputs * 3u]),
        );
        acc0 = add(acc0, w, load(at0, k));
        if first < last {
            acc1 = add(acc1, w, load(at1, k));
            acc2 = add(acc2, w, load(at2, k));
            acc3 = add(acc3, w, load(at3, k));
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
