// The mean of each plane: y[c] = sum over p of x[c, p] / pixels, for each image. Channels lie in groups of 4.
//
// A workgroup computes one group. Each invocation adds up every 64th pixel, so that neighbours read neighbouring pixels,
// and the workgroup adds up what they have, which also keeps the rounding error of large images small. Dispatch:
// (groups, 1, batch). planes: the element of x at which each channel lies, or where GROUPED only the first of each group
// counts, whose others lie beside it.
//
// Joined with: params, x, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

override GROUPED: bool = true;

var<workgroup> sums: array<vec4<f32>, 64>;

fn element(i: u32) -> f32 {
    return from_x(x[i / 4u])[i % 4u];
}

// Pixel `p` of 4 channels.
fn load(at: vec4<u32>, p: u32) -> vec4<f32> {
    if GROUPED {
        return from_x(x[at.x / 4u + p]);
    }
    let i = at + p * params.x_pixel;
    return vec4<f32>(element(i.x), element(i.y), element(i.z), element(i.w));
}

// 4 times `count` sums become as many as `count`, of an invocation each.
fn add_up(local: u32, count: u32) {
    workgroupBarrier();
    if local < count {
        sums[local] = (sums[local] + sums[local + count]) + (sums[local + count * 2u] + sums[local + count * 3u]);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let group = workgroup.x;
    let at = planes[group] + workgroup.z * params.x_image;
    let pixels = params.x_height * params.x_width;
    var sum = vec4<f32>();
    for (var p = local; p < pixels; p += 64u) {
        sum += load(at, p);
    }
    sums[local] = sum;
    add_up(local, 16u);
    add_up(local, 4u);
    add_up(local, 1u);
    if local == 0u {
        y[(workgroup.z * params.y_image + params.y_offset) / 4u + group] = to_y(sums[0] / f32(pixels));
    }
}
