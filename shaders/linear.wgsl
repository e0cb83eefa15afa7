// A fully connected layer: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for each image.
//
// One invocation computes one group of 4 outputs. Dispatch: (groups / 64, 1, batch), rounded up. planes: where in x, 4
// inputs at a time, each lies, its end padded by any valid place; where DENSE only its first entry counts, from which on
// all inputs lie one behind the other. weight: [in / 4][groups][4 in][4 out], padded by zeros, so that neighbours read
// neighbouring weights. bias: [groups], likewise.
//
// Joined with: params, x, y, weights, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<array<W, 4>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override DENSE: bool = true;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Inputs `4 k` to `4 k + 3`.
fn load(image: u32, k: u32) -> vec4<f32> {
    if DENSE {
        return from_x(x[(image + planes[0].x) / 4u + k]);
    }
    let i = planes[k] + image;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

// The weights of a group of outputs, one input a column.
fn matrix(w: array<W, 4>) -> mat4x4<f32> {
    return mat4x4<f32>(from_w(w[0]), from_w(w[1]), from_w(w[2]), from_w(w[3]));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    if group >= params.out_groups {
        return;
    }
    let image = id.z * params.x_image;
    var acc = bias[group];
    for (var k = 0u; k < params.inputs; k++) {
        acc += matrix(weight[k * params.out_groups + group]) * load(image, k);
    }
    let out = (id.z * params.y_image + params.y_offset) / 4u + group;
    y[out] = to_y(act(acc));
}
