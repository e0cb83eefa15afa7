// A fully connected layer where every load costs, as on a CPU: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for
// each image. The inputs lie one behind the other.
//
// One invocation computes one output; a workgroup, 8 of them. Of the inputs, which all lanes need, each loads an eighth,
// and subgroupBroadcast spreads them, so a subgroup must have at least 8 lanes. Dispatch: (groups / 2, 1, batch), rounded
// up. planes: the element of x at which the first input lies. weight: [out / 8][in / 32][8 of 4 in][8 out][4 in], padded
// by zeros; past the last input x may hold anything finite. bias: [out], padded to a multiple of 8.
//
// Joined with: params, x, weights_pairs, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let at = (workgroup.z * params.x_image + planes[0]) / 4u;
    let blocks = (params.inputs + 7u) / 8u;
    var w = workgroup.x * blocks * 32u + local;
    var acc = vec4<f32>();
    for (var k = 0u; k < params.inputs; k += 8u) {
        let mine = k + lane;
        let v = select(vec4<f32>(), from_x(x[at + min(mine, params.inputs - 1u)]), mine < params.inputs);
        let w0 = weight[w];
        acc += first_w(w0) * subgroupBroadcast(v, 0u);
        acc += second_w(w0) * subgroupBroadcast(v, 1u);
        let w1 = weight[w + 8u];
        acc += first_w(w1) * subgroupBroadcast(v, 2u);
        acc += second_w(w1) * subgroupBroadcast(v, 3u);
        let w2 = weight[w + 16u];
        acc += first_w(w2) * subgroupBroadcast(v, 4u);
        acc += second_w(w2) * subgroupBroadcast(v, 5u);
        let w3 = weight[w + 24u];
        acc += first_w(w3) * subgroupBroadcast(v, 6u);
        acc += second_w(w3) * subgroupBroadcast(v, 7u);
        w += 32u;
    }
    let out = workgroup.x * 8u + local;
    let sum = acc.x + acc.y + (acc.z + acc.w) + bias[out];
    if out < params.out_groups * 4u {
        y[workgroup.z * params.y_image + params.y_offset + out] = act(vec4<f32>(sum)).x;
    }
}
