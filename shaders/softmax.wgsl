// The softmax over channels: y[c, p] = exp(x[c, p]) / sum over k of exp(x[k, p]), for each image. In y channels lie in groups
// of 4.
//
// One workgroup computes one pixel. Dispatch: (pixels, 1, batch). planes: the element of x at which each of the `inputs`
// channels lies.
//
// Joined with: params, x_elements, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

const INVOCATIONS: u32 = 64u;

var<workgroup> partial: array<f32, 64>;

// exp(x[c, p] - most), or nothing past the last channel.
fn above(at: u32, c: u32, most: f32) -> f32 {
    return select(0.0, exp(element(at + planes[min(c, params.inputs - 1u)]) - most), c < params.inputs);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = workgroup.z * params.x_image + workgroup.x * params.x_pixel;
    let out = (workgroup.z * params.y_image + params.y_offset) / 4u + workgroup.x;

    var most = -3.4028234e38;
    for (var c = local; c < params.inputs; c += INVOCATIONS) {
        most = max(most, element(at + planes[c]));
    }
    partial[local] = most;
    workgroupBarrier();
    for (var i = 0u; i < INVOCATIONS; i++) {
        most = max(most, partial[i]);
    }
    workgroupBarrier();

    var sum = 0.0;
    for (var c = local; c < params.inputs; c += INVOCATIONS) {
        sum += above(at, c, most);
    }
    partial[local] = sum;
    workgroupBarrier();
    sum = 0.0;
    for (var i = 0u; i < INVOCATIONS; i++) {
        sum += partial[i];
    }

    for (var group = local; group < params.out_groups; group += INVOCATIONS) {
        let c = group * 4u;
        let exps = vec4<f32>(above(at, c, most), above(at, c + 1u, most), above(at, c + 2u, most), above(at, c + 3u, most));
        y[out + group * (params.y_group / 4u)] = to_y(exps / sum);
    }
}
