// A convolution that keeps channels apart and the 1x1 convolution after it, where there are few results: y[o, p] = act(bias[o] +
// sum over k of weight[o, k] * v[k, p] + other[o, p]), where v[k, p] = act_inner(inner_bias[k] + sum over ky, kx of
// inner_weight[k, ky, kx] * x[k, p * stride + (ky, kx) * dilation - (top, left)]), for each image. Channels lie in groups of 4.
//
// A workgroup computes 4 pixels of 4 groups of outputs. In each round its invocations first compute 16 groups of v, a pixel
// each, and then the part that one of these groups has in 4 pixels of one group of outputs. At last they add the parts up,
// in the memory in which v was.
// Dispatch: (pixels / 4, groups / 4, batch), rounded up. starts: where each group that v is made of begins in x, in units of 4
// elements. weight: [tile][group of v][4 groups][4 in][4 out], and behind it the inner weights [group of v][KERNEL_Y][KERNEL_X]
// [4], their taps rounded up to a multiple of 4; all padded by zeros. bias: [tile][4 groups], and behind it [group of v], likewise.
//
// Joined with: params, x, y, weights, other, activation, activation_inner, slices.

@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;
@group(0) @binding(4) var<storage, read> weight: array<array<W, 4>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> other: array<Other>;

// SLICES must be 16: 4 invocations share a slice, one for each pixel.

// Whether the other is added.
override ADD: bool = false;
// At most 8.
override KERNEL_Y: u32 = 3u;
override KERNEL_X: u32 = 3u;

fn tiles() -> u32 {
    return (params.out_groups + 3u) / 4u;
}

// Which rows and which columns of a window are inside of the image. Those before the first are past the last, too.
struct Inside {
    rows: array<bool, 8>,
    columns: array<bool, 8>,
}

fn inside_of(row: u32, column: u32) -> Inside {
    var inside: Inside;
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        inside.rows[ky] = row + ky * params.dilation_y < params.x_height;
    }
    for (var kx = 0u; kx < KERNEL_X; kx++) {
        inside.columns[kx] = column + kx * params.dilation_x < params.x_width;
    }
    return inside;
}

// A pixel of group `k` of v, whose window begins at element `first` of x.
fn depthwise(first: u32, k: u32, inside: Inside) -> vec4<f32> {
    let w = tiles() * params.inputs * 4u + k * ((KERNEL_Y * KERNEL_X + 3u) / 4u);
    var sum = bias[tiles() * 4u + k];
    for (var ky = 0u; ky < KERNEL_Y; ky++) {
        for (var kx = 0u; kx < KERNEL_X; kx++) {
            // Without branches, so that all loads are on their way together.
            let v = from_x(x[first + (ky * params.dilation_y * params.x_width + kx * params.dilation_x)]);
            let tap = ky * KERNEL_X + kx;
            sum += from_w(weight[w + tap / 4u][tap % 4u]) * select(vec4<f32>(), v, inside.rows[ky] && inside.columns[kx]);
        }
    }
    return act_inner(sum);
}

fn plus(sum: vec4<f32>, w: array<W, 4>, v: vec4<f32>) -> vec4<f32> {
    return sum + from_w(w[0]) * v.x + from_w(w[1]) * v.y + from_w(w[2]) * v.z + from_w(w[3]) * v.w;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let slice = slice_of(local);
    let fourth = group_of(local);
    let first = workgroup.x * 4u;
    let image = workgroup.z * params.x_image / 4u;
    let own = first + fourth;
    let row = own / params.y_width * params.stride_y - params.top;
    let column = own % params.y_width * params.stride_x - params.left;
    let inside = inside_of(row, column);
    let window = image + row * params.x_width + column;
    var sums = mat4x4<f32>();
    var start = starts[slice];
    for (var done = 0u; done < params.inputs; done += SLICES) {
        let k = done + slice;
        // Those of this round lie beside those of the one before, which some may still read.
        let round = done / SLICES % 2u;
        let next = starts[k + SLICES];
        if k < params.inputs {
            parts[round][fourth][slice] = depthwise(start + window, k, inside);
        }
        start = next;
        workgroupBarrier();
        if k < params.inputs {
            let w = weight[(workgroup.y * params.inputs + k) * 4u + fourth];
            sums[0] = plus(sums[0], w, parts[round][0][slice]);
            sums[1] = plus(sums[1], w, parts[round][1][slice]);
            sums[2] = plus(sums[2], w, parts[round][2][slice]);
            sums[3] = plus(sums[3], w, parts[round][3][slice]);
        }
    }
    workgroupBarrier();
    let total = total(local, sums);
    let group = workgroup.y * 4u + total.group;
    let pixel = first + total.pixel;
    if total.had && group < params.out_groups && pixel * 4u < params.y_group {
        var sum = bias[group] + total.sum;
        if ADD {
            sum += from_other(other[(workgroup.z * params.other_image + params.other_offset + group * params.y_group) / 4u + pixel]);
        }
        y[(workgroup.z * params.y_image + params.y_offset + group * params.y_group) / 4u + pixel] = to_y(act(sum));
    }
}
