// Planes brought together: y[c, p] = act(x[planes[c], p]), for each image.
//
// One invocation computes one pixel of one channel. Dispatch: (pixels / 64, channels, batch), rounded up.

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

override RELU: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let channel = id.y;
    if pixel >= params.y_height * params.y_width {
        return;
    }
    var value = x[id.z * params.x_image + planes[channel] + pixel];
    if RELU {
        value = max(value, 0.0);
    }
    y[id.z * params.y_image + params.y_offset + channel * params.y_plane + pixel] = value;
}
