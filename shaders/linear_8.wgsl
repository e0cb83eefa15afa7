// A fully connected layer where every load costs, as on a CPU: y[o] = act(bias[o] + sum over k of weight[o, k] * x[k]), for
// each image. The inputs lie one behind the other.
//
// One invocation computes one output; a workgroup, 8 of them. Of the inputs, which all lanes need, each loads an eighth,
// and subgroupBroadcast spreads them, so a subgroup must have at least 8 lanes. Dispatch: (groups / 2, 1, batch), rounded
// up. planes: the element of x at which the first input lies. weight: [out / 8][in / 32][8 of 4 in][8 out][4 in], padded
// by zeros; past the last input x may hold anything finite. bias: [out], padded to a multiple of 8.

struct Params {
    x_image: u32, // elements from one image to the next
    y_image: u32,
    y_offset: u32, // element at which the first group of 4 channels begins
    y_group: u32, // elements from one group to the next
    x_height: u32, // pixels
    x_width: u32,
    y_height: u32,
    y_width: u32,
    x_pixel: u32, // elements from one pixel to the next
    inputs: u32, // groups or channels that an output is made of
    runs: u32, // runs of groups that they lie in
    out_groups: u32,
    rows: u32, // rows that one invocation computes
    stride_y: u32, // pixels from one window to the next
    stride_x: u32,
    dilation_y: u32, // pixels from one tap to the next
    dilation_x: u32,
    top: u32, // padding in pixels
    left: u32,
    bottom: u32,
    right: u32,
    other_image: u32, // as those of x
    other_offset: u32, // as that of y
    other_pixel: u32, // as that of x, or 0 where one pixel goes to all
    a: f32, // what the activation needs
    b: f32,
}

// How x is stored, and the others below likewise; gpu/shader.rs puts pairs of halves in place of such lines.
alias X = vec4<f32>;
fn from_x(v: X) -> vec4<f32> {
    return v;
}

alias W = vec4<u64>;
fn first_w(v: W) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(v.x), u32(v.x >> 32u), u32(v.y), u32(v.y >> 32u)));
}
fn second_w(v: W) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(v.z), u32(v.z >> 32u), u32(v.w), u32(v.w >> 32u)));
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<W>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;

// 0 is none, and the others are in the order of their kinds in kernels.rs.
override ACTIVATION: u32 = 0u;

fn act(v: vec4<f32>) -> vec4<f32> {
    switch ACTIVATION {
        case 1u: {
            return max(v, vec4<f32>());
        }
        case 2u: {
            return clamp(v, vec4<f32>(params.a), vec4<f32>(params.b));
        }
        case 3u: {
            return clamp(v * params.a + params.b, vec4<f32>(), vec4<f32>(1.0));
        }
        case 4u: {
            return v * clamp(v / 6.0 + 0.5, vec4<f32>(), vec4<f32>(1.0));
        }
        case 5u: {
            return 1.0 / (1.0 + exp(-v));
        }
        case 6u: {
            return v / (1.0 + exp(-v));
        }
        default: {
            return v;
        }
    }
}

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
