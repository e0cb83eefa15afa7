// Channels brought together: y[c, p] = act(x[planes[c], p]), for each image. In y they lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: the element
// of x at which each channel lies, its end padded by any valid place.

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
    stride: u32, // pixels
    padding: u32, // pixels
    rows: u32, // rows that one invocation computes
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

override RELU: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let at = planes[group] + id.z * params.x_image + pixel * params.x_pixel;
    let value = vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]);
    let out = (id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel;
    y[out] = select(value, max(value, vec4<f32>()), RELU);
}
