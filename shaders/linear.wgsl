// A fully connected layer: y[o] = act(bias[o] + sum over k of weight[o, k] * x[planes[k]]), for each image.
//
// One invocation computes one output. Dispatch: (out / 64, 1, batch), rounded up. Here planes says where each input
// element lies, its end padded by any valid place to a multiple of 4. weight: [in / 4][out][4], padded by zeros, so
// that neighbours read neighbouring weights. bias: [out].

struct Params {
    x_image: u32, // elements from one image to the next
    y_image: u32,
    y_offset: u32, // element at which the first plane begins
    y_plane: u32, // elements from one plane to the next
    x_height: u32, // pixels
    x_width: u32,
    y_height: u32,
    y_width: u32,
    in_channels: u32, // of one group
    out_channels: u32, // of all groups
    groups: u32,
    stride: u32, // pixels
    padding: u32, // pixels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;

override RELU: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let out = id.x;
    if out >= params.out_channels {
        return;
    }
    let image = id.z * params.x_image;
    var acc = vec4<f32>();
    for (var k = 0u; k * 4u < params.in_channels; k++) {
        let v = vec4<f32>(
            x[image + planes[k * 4u]],
            x[image + planes[k * 4u + 1u]],
            x[image + planes[k * 4u + 2u]],
            x[image + planes[k * 4u + 3u]],
        );
        acc += weight[k * params.out_channels + out] * v;
    }
    var sum = acc.x + acc.y + (acc.z + acc.w) + bias[out];
    if RELU {
        sum = max(sum, 0.0);
    }
    y[id.z * params.y_image + params.y_offset + out * params.y_plane] = sum;
}
