// Numbers one by one: y[c, p] = act(x[c, p]), act(x[c, p] + other[c, p]) or act(x[c, p] * other[c, p]), for each image. In y
// and in other channels lie in groups of 4.
//
// One invocation computes one pixel of one group. Dispatch: (pixels / 64, groups, batch), rounded up. planes: the element
// of x at which each channel lies, its end padded by any valid place.
//
// Joined with: params, x_elements, y, other, activation.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> planes: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// 0 takes x as it is, 1 adds the other, 2 multiplies by it.
override OPERATION: u32 = 0u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = id.x;
    let group = id.y;
    if pixel * 4u >= params.y_group {
        return;
    }
    let at = planes[group] + id.z * params.x_image + pixel * params.x_pixel;
    var value = vec4<f32>(element(at.x), element(at.y), element(at.z), element(at.w));
    if OPERATION != 0u {
        let other_group = select(4u, params.y_group, params.other_pixel > 0u);
        let start = id.z * params.other_image + params.other_offset + group * other_group;
        let operand = from_other(other[(start + pixel * params.other_pixel) / 4u]);
        value = select(value * operand, value + operand, OPERATION == 1u);
    }
    y[(id.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(act(value));
}
