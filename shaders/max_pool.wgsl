// A max pool: y[c, p] = the largest x[planes[c], p * stride + (ky, kx) - padding] inside the image, for each image.
//
// One invocation computes one pixel of one channel. Dispatch: (pixels / 64, channels, batch), rounded up. The padding
// must be less than KERNEL, so that no window lies outside the image.

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

override KERNEL: u32 = 3u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let channel = id.y;
    if pixel >= params.y_height * params.y_width {
        return;
    }
    let top = i32(pixel / params.y_width * params.stride) - i32(params.padding);
    let left = i32(pixel % params.y_width * params.stride) - i32(params.padding);
    let bottom_row = i32(params.x_height) - 1;
    let right_column = i32(params.x_width) - 1;
    let plane = id.z * params.x_image + planes[channel];
    // A window's pixels outside the image are replaced by its nearest ones inside, which changes no maximum.
    var best = x[plane + u32(clamp(top, 0, bottom_row)) * params.x_width + u32(clamp(left, 0, right_column))];
    for (var ky = 0u; ky < KERNEL; ky++) {
        let row = u32(clamp(top + i32(ky), max(top, 0), bottom_row));
        for (var kx = 0u; kx < KERNEL; kx++) {
            let column = u32(clamp(left + i32(kx), max(left, 0), right_column));
            best = max(best, x[plane + row * params.x_width + column]);
        }
    }
    y[id.z * params.y_image + params.y_offset + channel * params.y_plane + pixel] = best;
}
