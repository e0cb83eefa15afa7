//! Convolutions: dense ones over groups, depthwise ones, stems over planes, and all others.

use super::kernel::Kernel;
use crate::compile::{Budget, Step};
use crate::device::gpu::family::{Family, Results};
use crate::device::gpu::groups::{Groups, LANES, planes};
use crate::device::gpu::shader::Shader;
use crate::device::gpu::weights;
use crate::device::gpu::workgroups::{
    per_pixel, per_pixel_of, per_quad, per_rows, per_slices, per_strip, per_tile_of_2, per_tile_of_8, per_two_pixels,
    rows, rows_at_once,
};
use crate::device::program::Terms;
use crate::error::Result;
use crate::graph::{Conv2d, Shape, Window};

pub(super) fn of(family: Family, terms: &Terms, step: &Step, conv: &Conv2d, values: [&[f32]; 2]) -> Result<Kernel> {
    let (source, budget) = (&step.source, terms.budget);
    let bare = step.other.is_none();
    let kernel = if conv.groups == 1 && source.lanes == LANES {
        match family {
            Family::Spread => spread(step, conv, values, budget)?,
            Family::Plain { .. } => dense(family, terms, step, conv, values)?,
        }
    } else if conv.is_depthwise() && bare && source.lanes == LANES {
        match family {
            Family::Spread => depthwise(step, conv, values, budget)?,
            Family::Plain { .. } => depthwise_rows(step, conv, values, budget)?,
        }
    } else if family == Family::Spread && source.lanes == 1 && conv.groups == 1 && is_square(conv, 3, 2) && bare {
        stem(step, conv, values, budget)?
    } else if family != Family::Spread && source.lanes == 1 && conv.groups == 1 && conv.window.kernel[1] <= COLUMNS {
        of_planes(terms, step, conv, values)?
    } else {
        any(step, conv, values, budget)?
    };
    let kernel = Kernel { window: conv.window, ..kernel };
    let paired = kernel.shader.signature().paired();
    Ok(if paired { kernel.constant("ADD", step.other.is_some().into()) } else { kernel })
}

/// Whether the window is of this size and stride, whatever its padding.
fn is_square(conv: &Conv2d, side: usize, stride: usize) -> bool {
    conv.window == Window { stride: [stride; 2], padding: conv.window.padding, ..Window::square(side) }
}

fn taps(conv: &Conv2d) -> Vec<(&'static str, usize)> {
    vec![("KERNEL_Y", conv.window.kernel[0]), ("KERNEL_X", conv.window.kernel[1])]
}

/// Every output of all inputs, which lie in groups.
fn dense(family: Family, terms: &Terms, step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2]) -> Result<Kernel> {
    const TILE: usize = 4;
    let out = step.target.shape;
    let read = Groups::of(&step.source);
    let mut constants = taps(conv);
    constants.push(("POINTWISE", conv.is_pointwise().into()));
    let (shader, (workgroups, images)) = match is_sliced(family, terms, out) {
        true => {
            let slices = slices(family, terms, out);
            constants.push(("SLICES", slices));
            (Shader::DenseSliced, (per_slices(out, slices), 1))
        }
        false => (Shader::Dense, per_two_pixels(out, terms.max_batch)),
    };
    let weight = weights::matrix(&read, weight, conv.window.taps(), TILE, terms.budget)?;
    let weights = Some([weight, weights::bias(bias, TILE)]);
    Ok(Kernel {
        inputs: read.len(),
        images,
        weights,
        constants,
        ..Kernel::new(shader, read.starts().to_vec(), workgroups)
    })
}

/// Whether there are so few results that their inputs are sliced.
pub(super) fn is_sliced(family: Family, terms: &Terms, out: Shape) -> bool {
    /// Vectors that an invocation computes where no input is sliced.
    const EACH: usize = 8;
    let vectors =
        [out.pixels(), out.channels.div_ceil(LANES), terms.max_batch].into_iter().fold(1, usize::saturating_mul);
    family.results(vectors / EACH) == Results::Few
}

/// Slices of inputs that a workgroup has at most.
pub(super) const SLICES: usize = 16;

/// Into how many slices inputs are cut: few where these keep the device busy, for each costs a part of the sum.
fn slices(family: Family, terms: &Terms, out: Shape) -> usize {
    let few = SLICES / 4;
    let busy = family.results(per_slices(out, few).invocations(terms.max_batch) / 2) == Results::Many;
    if busy { few } else { SLICES }
}

/// As [`dense`], where loads cost.
fn spread(step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2], budget: &Budget) -> Result<Kernel> {
    let out = step.target.shape;
    let read = Groups::of(&step.source);
    let runs = read.runs();
    let (shader, tile, workgroups, constants) = match conv.is_pointwise() {
        true => {
            let pairs = vec![("PAIRS", out.pixels().is_multiple_of(2).into())];
            (Shader::Pointwise4x32, 8, per_tile_of_8(out), pairs)
        }
        false => (Shader::ConvGrouped, 2, per_tile_of_2(out), taps(conv)),
    };
    let weight = weights::matrix(&read, weight, conv.window.taps(), tile, budget)?;
    let weights = Some([weight, weights::bias(bias, tile)]);
    let kernel = Kernel::new(shader, runs.concat(), workgroups);
    Ok(Kernel { inputs: read.len(), runs: runs.len(), weights, constants, ..kernel })
}

/// Every output of one input, where every load costs.
fn depthwise(step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2], budget: &Budget) -> Result<Kernel> {
    let (source, out) = (&step.source, step.target.shape);
    let (table, grouped) = planes(source);
    let weights = Some([weights::by_group(weight, conv.window.taps(), budget)?, weights::bias(bias, 1)]);
    let stride = conv.window.stride[0];
    // Two columns lie where one load finds them.
    let pairs = grouped && [source.width, out.width].iter().all(|width| width.is_multiple_of(2));
    let rows = rows(out);
    Ok(if is_square(conv, 3, stride) && stride <= 2 && pairs {
        let workgroups = per_strip(Shape { width: out.width / 2, ..out }, rows);
        let kernel = Kernel::new(Shader::DepthwisePairs, table, workgroups)
            .constant("STRIDE", stride)
            .constant("ODD", conv.window.padding.left % 2);
        Kernel { rows, weights, ..kernel }
    } else if is_square(conv, 3, stride) {
        let kernel = Kernel::new(Shader::Depthwise, table, per_strip(out, rows))
            .constant("STRIDE", stride)
            .constant("GROUPED", grouped.into());
        Kernel { rows, weights, ..kernel }
    } else {
        let kernel = Kernel::new(Shader::DepthwiseAny, table, per_pixel(out));
        Kernel { constants: taps(conv), weights, ..kernel }.constant("GROUPED", grouped.into())
    })
}

/// Every output of one input.
fn depthwise_rows(step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2], budget: &Budget) -> Result<Kernel> {
    let (table, grouped) = planes(&step.source);
    let rows = rows_at_once(conv.window);
    let kernel = Kernel::new(Shader::DepthwiseRows, table, per_rows(step.target.shape, rows));
    let weights = Some([weights::by_group(weight, conv.window.taps(), budget)?, weights::bias(bias, 1)]);
    let kernel = Kernel { constants: taps(conv), weights, ..kernel };
    // Where rows are computed one by one, one pipeline serves every stride.
    let kernel = kernel.constant("STRIDE", if rows == 1 { 1 } else { conv.window.stride[0] });
    Ok(kernel.constant("ROWS", rows).constant("GROUPED", grouped.into()))
}

/// 3x3 taps of stride 2 over planes, where every load costs.
fn stem(step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2], budget: &Budget) -> Result<Kernel> {
    let kernel = Kernel::new(Shader::Stem, step.source.planes.clone(), per_quad(step.target.shape));
    let weights = [weights::stem(weight, conv.in_channels, budget)?, weights::bias(bias, 6)];
    Ok(Kernel { inputs: conv.in_channels, weights: Some(weights), ..kernel })
}

/// Columns of a window over planes, at most: `planes.wgsl` notes of each whether it is inside of the image.
const COLUMNS: usize = 16;

/// Every output of all inputs, which are planes. The table has their places, and how their levels are normalised.
fn of_planes(terms: &Terms, step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2]) -> Result<Kernel> {
    const MOST: usize = 8;
    let budget = terms.budget;
    let out = step.target.shape;
    let groups = out.channels.div_ceil(LANES);
    let tile = groups.div_ceil(groups.div_ceil(MOST));
    let [rows, columns] = conv.window.kernel;
    let weights =
        [weights::by_tile(weight, [conv.in_channels, rows, columns], tile, budget)?, weights::bias(bias, tile)];
    let mut table = step.source.planes.clone();
    if let Some(levels) = terms.levels {
        let channels = step.source.channels_of_input();
        let bits =
            channels.flat_map(|channel| [levels.scale(), levels.shift()].map(|of| of[channel].to_bits() as usize));
        table.extend(bits);
    }
    let kernel = Kernel::new(Shader::Planes, table, per_pixel_of(tile, out));
    let kernel = Kernel { inputs: conv.in_channels, weights: Some(weights), constants: taps(conv), ..kernel };
    Ok(kernel.constant("TILE", tile))
}

/// Any groups, over channels that lie anywhere.
fn any(step: &Step, conv: &Conv2d, [weight, bias]: [&[f32]; 2], budget: &Budget) -> Result<Kernel> {
    let (source, out) = (&step.source, step.target.shape);
    let inputs = conv.in_channels / conv.groups;
    let shared = conv.groups == 1;
    let table = if shared {
        source.planes.clone()
    } else {
        let of_output = |o: usize, i: usize| source.planes[o / (out.channels / conv.groups) * inputs + i];
        let of_group = |group: usize, i: usize| {
            let outputs = (group * LANES..(group + 1) * LANES).map(|o| o.min(out.channels - 1));
            outputs.map(move |o| of_output(o, i))
        };
        let groups = out.channels.div_ceil(LANES);
        (0..groups).flat_map(|group| (0..inputs).flat_map(move |i| of_group(group, i))).collect()
    };
    let kernel = Kernel::new(Shader::Conv, table, per_pixel(out));
    let weights = [weights::by_group(weight, inputs * conv.window.taps(), budget)?, weights::bias(bias, 1)];
    let kernel = Kernel { inputs, weights: Some(weights), constants: taps(conv), ..kernel };
    Ok(kernel.constant("SHARED", shared.into()))
}
