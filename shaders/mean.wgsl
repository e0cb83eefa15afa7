// The mean of each plane: y[c] = sum over p of x[c, p] / pixels, for each image. Channels lie in groups of 4.
//
// One invocation computes one group. Dispatch: (groups / 8, 1, batch), rounded up. planes: the element of x at which each
// channel lies, or where GROUPED only the first of each group counts, whose others lie beside it.
//
// Joined with: params, x, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

override GROUPED: bool = true;

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

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.x;
    if group >= params.out_groups {
        return;
    }
    let at = planes[group] + id.z * params.x_image;
    // One sum a row keeps the rounding error of large images small.
    var sum = vec4<f32>();
    for (var row = 0u; row < params.x_height; row++) {
        var part = vec4<f32>();
        for (var column = 0u; column < params.x_width; column++) {
            part += load(at, row * params.x_width + column);
        }
        sum += part;
    }
    y[(id.z * params.y_image + params.y_offset) / 4u + group] = to_y(sum / f32(params.x_height * params.x_width));
}
