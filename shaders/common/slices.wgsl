// How the 64 invocations of a workgroup add up what each has of 4 pixels: those of SLICES slices of the inputs, for each of
// 64 / SLICES groups of outputs.

// 4 or 16.
override SLICES: u32 = 16u;

// What each has, and then what 4 slices have together, in 4 blocks of 4 rows of 16. Not more, so that many workgroups find room.
var<workgroup> parts: array<array<array<vec4<f32>, 16>, 4>, 4>;

// A sum: of which group of the workgroup's, and which of its pixels.
struct Total {
    group: u32,
    pixel: u32,
    sum: vec4<f32>,
    // Whether this invocation has it.
    had: bool,
}

// The slice of invocation `local`.
fn slice_of(local: u32) -> u32 {
    return local % SLICES;
}

// Its group of outputs, of the workgroup's.
fn group_of(local: u32) -> u32 {
    return local / SLICES;
}

// The column where a pixel of the `i`th of four invocations lies: neighbours use different banks of memory.
fn column_of(i: u32, pixel: u32) -> u32 {
    return i * 4u + (pixel + i) % 4u;
}

fn keep(local: u32, pixel: u32, value: vec4<f32>) {
    parts[local / 16u][local / 4u % 4u][column_of(local % 4u, pixel)] = value;
}

// What the `i`th of the `four`th four invocations has kept.
fn kept(four: u32, i: u32, pixel: u32) -> vec4<f32> {
    return parts[four / 4u][four % 4u][column_of(i, pixel)];
}

// To be called by all invocations of a workgroup, each with what its slice has of its group, a pixel a column.
fn total(local: u32, sums: mat4x4<f32>) -> Total {
    keep(local, 0u, sums[0]);
    keep(local, 1u, sums[1]);
    keep(local, 2u, sums[2]);
    keep(local, 3u, sums[3]);
    workgroupBarrier();
    let each = SLICES / 4u;
    let result = local / each;
    let group = result / 4u;
    let pixel = result % 4u;
    let four = group * each + local % each;
    var sum = kept(four, 0u, pixel) + kept(four, 1u, pixel);
    sum += kept(four, 2u, pixel) + kept(four, 3u, pixel);
    if SLICES > 4u {
        workgroupBarrier();
        parts[0][local / 16u][local % 16u] = sum;
        workgroupBarrier();
        for (var i = 1u; i < each; i++) {
            let next = local + i;
            sum += parts[0][next / 16u][next % 16u];
        }
    }
    return Total(group, pixel, sum, local % each == 0u);
}
