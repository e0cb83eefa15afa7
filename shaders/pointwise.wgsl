// A 1x1 convolution: y[o, p] = act(bias[o] + sum over k of weight[o, k] * x[planes[k], p]), for each image.
//
// One invocation computes 4 neighbouring pixels of 8 output channels. Dispatch: (pixels / 4 / 8, out / 8 / 8, batch),
// each rounded up. x and y hold planes whose stride is a multiple of 4; the pixels that pad them are computed too and
// hold nothing. weight: [out / 8][in][8], padded by zeros. bias: [out / 8][8], likewise.

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
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override RELU: bool = false;

fn activate(v: vec4<f32>) -> vec4<f32> {
    if RELU {
        return max(v, vec4<f32>());
    }
    return v;
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    let tile = id.y;
    let out = tile * 8u;
    if quad * 4u >= params.y_plane || out >= params.out_channels {
        return;
    }

    let low = bias[tile * 2u];
    let high = bias[tile * 2u + 1u];
    var acc0 = vec4<f32>(low.x);
    var acc1 = vec4<f32>(low.y);
    var acc2 = vec4<f32>(low.z);
    var acc3 = vec4<f32>(low.w);
    var acc4 = vec4<f32>(high.x);
    var acc5 = vec4<f32>(high.y);
    var acc6 = vec4<f32>(high.z);
    var acc7 = vec4<f32>(high.w);

    let image = id.z * params.x_image;
    var w = tile * params.in_channels * 2u;
    for (var k = 0u; k < params.in_channels; k++) {
        let v = x[(image + planes[k]) / 4u + quad];
        let a = weight[w];
        let b = weight[w + 1u];
        acc0 += a.x * v;
        acc1 += a.y * v;
        acc2 += a.z * v;
        acc3 += a.w * v;
        acc4 += b.x * v;
        acc5 += b.y * v;
        acc6 += b.z * v;
        acc7 += b.w * v;
        w += 2u;
    }

    let stride = params.y_plane / 4u;
    let at = (id.z * params.y_image + params.y_offset) / 4u + out * stride + quad;
    let rest = params.out_channels - out;
    y[at] = activate(acc0);
    if rest > 1u { y[at + stride] = activate(acc1); }
    if rest > 2u { y[at + 2u * stride] = activate(acc2); }
    if rest > 3u { y[at + 3u * stride] = activate(acc3); }
    if rest > 4u { y[at + 4u * stride] = activate(acc4); }
    if rest > 5u { y[at + 5u * stride] = activate(acc5); }
    if rest > 6u { y[at + 6u * stride] = activate(acc6); }
    if rest > 7u { y[at + 7u * stride] = activate(acc7); }
}
