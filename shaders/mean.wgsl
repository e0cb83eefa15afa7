// The mean of each plane: y[c] = sum over p of x[planes[c], p] / pixels, for each image.
//
// One invocation computes one channel. Dispatch: (channels / 64, 1, batch), rounded up.

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let channel = id.x;
    if channel >= params.out_channels {
        return;
    }
    let plane = id.z * params.x_image + planes[channel];
    let pixels = params.x_height * params.x_width;
    // One sum a row keeps the rounding error of large images small.
    var sum = 0.0;
    for (var row = 0u; row < params.x_height; row++) {
        var part = 0.0;
        for (var column = 0u; column < params.x_width; column++) {
            part += x[plane + row * params.x_width + column];
        }
        sum += part;
    }
    y[id.z * params.y_image + params.y_offset + channel * params.y_plane] = sum / f32(pixels);
}
