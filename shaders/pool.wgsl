// A pool of any window: y[c, p] = the largest, or the mean, of x[c, p * stride + (ky, kx) * dilation - (top, left)] inside
// the image, for each image. Channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: the element of
// x at which each channel lies, or where GROUPED only the first of each group counts, whose others lie beside it.
//
// Joined with: params, x, y.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;
override GROUPED: bool = true;

// 0 takes the largest, 1 the mean of the taps inside the image, 2 the mean of those inside the padded image.
override OPERATION: u32 = 0u;

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let at = planes[group] + id.z * params.x_image;
    let first_row = i32(pixel / params.y_width * params.stride_y) - i32(params.top);
    let first_column = i32(pixel % params.y_width * params.stride_x) - i32(params.left);
    var largest = vec4<f32>(-3.4028234e38);
    var sum = vec4<f32>();
    var taps = 0u;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        let row = first_row + i32(ky * params.dilation_y);
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            let column = first_column + i32(kx * params.dilation_x);
            let inside = row >= 0 && row < i32(params.x_height) && column >= 0 && column < i32(params.x_width);
            if inside {
                let v = load(at, u32(row) * params.x_width + u32(column));
                largest = max(largest, v);
                sum += v;
            }
            let padded = row < i32(params.x_height + params.bottom) && column < i32(params.x_width + params.right);
            taps += select(0u, 1u, inside || (OPERATION == 2u && padded));
        }
    }
    let value = select(sum / f32(taps), largest, OPERATION == 0u);
    y[(id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(value);
}
