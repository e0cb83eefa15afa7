// A convolution of any kernel, stride, padding and grouping: y[o, p] = act(bias[o] + sum over i, ky, kx of
// weight[o, i, ky, kx] * x[planes[group * in + i], p * stride + (ky, kx) - padding]), for each image.
//
// One invocation computes one pixel of 4 output channels of one group. Dispatch: (pixels / 64, tiles, batch), rounded
// up, where each group has out / groups / 4 tiles, rounded up. weight: [tile][in][KERNEL][KERNEL][4], padded by zeros.
// bias: [tile][4], likewise.

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
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override KERNEL: u32 = 3u;
override RELU: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let tile = id.y;
    if pixel >= params.y_height * params.y_width {
        return;
    }
    let per_group = params.out_channels / params.groups;
    let tiles = (per_group + 3u) / 4u;
    let group = tile / tiles;
    let first = tile % tiles * 4u;

    let top = i32(pixel / params.y_width * params.stride) - i32(params.padding);
    let left = i32(pixel % params.y_width * params.stride) - i32(params.padding);
    var acc = bias[tile];
    var w = tile * params.in_channels * KERNEL * KERNEL;
    for (var i = 0u; i < params.in_channels; i++) {
        let plane = id.z * params.x_image + planes[group * params.in_channels + i];
        for (var ky = 0u; ky < KERNEL; ky++) {
            let row = top + i32(ky);
            for (var kx = 0u; kx < KERNEL; kx++) {
                let column = left + i32(kx);
                if row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width) {
                    acc += weight[w] * x[plane + u32(row) * params.x_width + u32(column)];
                }
                w++;
            }
        }
    }
    if RELU {
        acc = max(acc, vec4<f32>());
    }

    let at = id.z * params.y_image + params.y_offset + (group * per_group + first) * params.y_plane + pixel;
    let rest = per_group - first;
    y[at] = acc.x;
    if rest > 1u { y[at + params.y_plane] = acc.y; }
    if rest > 2u { y[at + 2u * params.y_plane] = acc.z; }
    if rest > 3u { y[at + 3u * params.y_plane] = acc.w; }
}
