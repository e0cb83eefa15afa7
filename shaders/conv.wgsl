// A convolution of any kernel, stride, padding and grouping: y[o, p] = act(bias[o] + sum over i, ky, kx of
// weight[o, i, ky, kx] * x[i, p * stride + (ky, kx) - padding]), for each image. In y channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: for each
// input of each group of outputs, the elements of x at which the planes that its 4 outputs read begin. Where SHARED all
// outputs read the same inputs, and there is one plane an input. weight: [group][in][KERNEL][KERNEL][4], padded by zeros.
// bias: [group], likewise.

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
@group(0) @binding(2) var<storage, read> planes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

override KERNEL: u32 = 3u;
override RELU: bool = false;
override SHARED: bool = true;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let image = id.z * params.x_image;
    let top = i32(pixel / params.y_width * params.stride) - i32(params.padding);
    let left = i32(pixel % params.y_width * params.stride) - i32(params.padding);
    var acc = bias[group];
    var w = group * params.inputs * KERNEL * KERNEL;
    for (var i = 0u; i < params.inputs; i++) {
        var at = vec4<u32>(image);
        if SHARED {
            at.x += planes[i];
        } else {
            let entry = (group * params.inputs + i) * 4u;
            at += vec4<u32>(planes[entry], planes[entry + 1u], planes[entry + 2u], planes[entry + 3u]);
        }
        for (var ky = 0u; ky < KERNEL; ky++) {
            let row = top + i32(ky);
            for (var kx = 0u; kx < KERNEL; kx++) {
                let column = left + i32(kx);
                if row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width) {
                    let p = (u32(row) * params.x_width + u32(column)) * params.x_pixel;
                    if SHARED {
                        acc += weight[w] * x[at.x + p];
                    } else {
                        acc += weight[w] * vec4<f32>(x[at.x + p], x[at.y + p], x[at.z + p], x[at.w + p]);
                    }
                }
                w++;
            }
        }
    }
    let out = (id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel;
    y[out] = select(acc, max(acc, vec4<f32>()), RELU);
}
