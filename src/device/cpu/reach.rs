//! How far a packed step reads and writes, worked out from the very tables that its kernel goes by, which checks nothing
//! itself. Memory is bounded by what is said here, whatever a file says of sizes.

use super::isa::InstructionSet;
use super::kernels::{Matrix, Places};
use super::memory::Numbers;
use super::step::{Channels, Convolution, Kernel, Matmul, Step, Window, WindowOp};

/// The numbers of one image's source, target and second operand, and of a thread's own memory, from the first on, that a
/// step touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    x: usize,
    y: usize,
    other: usize,
    scratch: usize,
}

impl Step {
    /// Whether each number that the kernel touches lies within one image of what it reads and writes, within the scratch
    /// memory that it asks for, and within its own weights.
    pub fn stays_within(&self, set: InstructionSet) -> bool {
        self.reach(set.lanes()).is_some_and(|reach| {
            reach.x <= self.x_image
                && reach.y <= self.y_image
                && reach.other <= self.other.map_or(0, |other| other.image)
                && reach.scratch <= self.scratch
        })
    }

    /// Whether `places` hold as many images as they are to, and scratch memory, of a step that [stays
    /// within](Self::stays_within) one.
    pub fn fits(&self, places: &Places) -> bool {
        let holds = |numbers: usize, image: usize| places.count.checked_mul(image).is_some_and(|all| all <= numbers);
        holds(places.x_numbers, self.x_image)
            && holds(places.y_numbers, self.y_image)
            && self.other.is_none_or(|other| holds(places.other_numbers, other.image))
            && self.scratch <= places.scratch_numbers
    }

    /// Nothing where sizes overflow, or where tables and weights are too short.
    fn reach(&self, lanes: usize) -> Option<Reach> {
        match &self.kernel {
            Kernel::Matmul(matmul) => self.of_matmul(matmul, lanes),
            Kernel::Convolution(conv) => self.of_convolution(conv, lanes),
            Kernel::Depthwise(window) | Kernel::Window(window) => self.of_window(window, lanes),
            Kernel::Mean => self.of_channels(1, 0, lanes),
            Kernel::Softmax(channels) => {
                let held = self.channels.len().checked_mul(lanes)?;
                (*channels <= held).then(|| self.of_channels(self.pixels, 0, lanes))?
            }
            Kernel::Elementwise(_) => {
                let other = self.other.map_or(Some(0), |other| {
                    end(other.offset, &[(self.channels.len(), other.group), (self.pixels, other.pixel)], lanes)
                })?;
                self.of_channels(self.pixels, other, lanes)
            }
        }
    }

    fn of_matmul(&self, Matmul { matrix, pixels, .. }: &Matmul, lanes: usize) -> Option<Reach> {
        let x = end(furthest(matrix)?, &[(*pixels, self.x_pixel)], 1)?;
        let y = vectors(matrix, self.y_offset, self.y_group, *pixels, lanes)?;
        Some(Reach { x, y, other: self.of_sums(matrix, *pixels, lanes)?, scratch: 0 })
    }

    fn of_convolution(&self, conv: &Convolution, lanes: usize) -> Option<Reach> {
        let Convolution { matrix, groups, region, stride: [down, across], height, width, pool, .. } = conv;
        let pixels = height.checked_mul(*width)?;
        let group = groups.iter().max()?;
        let x = end(*group, &[(region.height.checked_mul(region.width)?, region.lanes)], region.lanes)?;
        let bands = exactly(&[groups.len(), region.rows, region.columns, region.lanes])?;
        // Rows of outputs that a unit computes, and the furthest that a sum reads for the last of them.
        let rows = (0..conv.bands()).map(|band| conv.band(band).1.len()).max()?;
        let row = region.columns.checked_mul(region.lanes)?;
        let strides = [(rows, down.checked_mul(row)?), (*width, across.checked_mul(region.lanes)?)];
        let sums = end(furthest(matrix)?, &strides, 1)?;
        // What is copied in for a unit lies within its rows: there are as many as its outputs see.
        let within = sums <= bands && region.lanes > 0;
        let other = self.of_sums(matrix, pixels, lanes)?;
        let (y, scratch) = match pool {
            None => (vectors(matrix, self.y_offset, self.y_group, pixels, lanes)?, bands),
            Some(pool) => {
                let group = exactly(&[pool.rows, *width, lanes])?;
                let results = vectors(matrix, pool.scratch, group, rows.checked_mul(*width)?, lanes)?;
                let pooled = end(pool.scratch, &[(pool.vectors, group)], group)?;
                let out = pool.window.height.checked_mul(pool.window.width)?;
                let y = end(self.y_offset, &[(pool.vectors, self.y_group), (out, lanes)], lanes)?;
                // Sums lie behind what they are of.
                (rows <= pool.rows && bands <= pool.scratch).then_some((y, results.max(pooled)))?
            }
        };
        within.then_some(Reach { x, y, other, scratch })
    }

    fn of_window(&self, window: &Window, lanes: usize) -> Option<Reach> {
        let Window { op, region, window: geometry, height, width, rows } = window;
        if let WindowOp::Sum { weights, bias } = op {
            let [down, across] = geometry.kernel;
            holds(weights, exactly(&[self.channels.len(), down, across, lanes])?)?;
            holds(bias, exactly(&[self.channels.len(), lanes])?)?;
        }
        let apart = self.channels.iter().any(|channels| matches!(channels, Channels::Apart(_)));
        let [down, across] = geometry.extent();
        // A band has whatever the windows of its outputs see.
        let seen_rows = end(0, &[(*rows, geometry.stride[0])], down)?;
        let seen_columns = end(0, &[(*width, geometry.stride[1])], across)?;
        let sound = region.lanes == lanes && seen_rows <= region.rows && seen_columns <= region.columns;
        let scratch = if apart { exactly(&[region.rows, region.columns, region.lanes])? } else { 0 };
        let reach = self.of_channels(height.checked_mul(*width)?, 0, lanes)?;
        let image = region.height.checked_mul(region.width)? == self.pixels;
        (sound && image).then_some(Reach { scratch, ..reach })
    }

    /// Of a kernel that keeps channels apart, and writes `pixels` of each.
    fn of_channels(&self, pixels: usize, other: usize, lanes: usize) -> Option<Reach> {
        let y = end(self.y_offset, &[(self.channels.len(), self.y_group), (pixels, lanes)], lanes)?;
        let mut x = 0;
        for channels in &self.channels {
            let (last, width) = match channels {
                Channels::Together(first) => (*first, lanes),
                Channels::Apart(places) if places.len() <= lanes => (*places.iter().max()?, 1),
                Channels::Apart(_) => return None,
            };
            x = x.max(end(last, &[(self.pixels, self.x_pixel)], width)?);
        }
        Some(Reach { x, y, other, scratch: 0 })
    }

    /// The second operand of sums of `pixels` pixels.
    fn of_sums(&self, matrix: &Matrix, pixels: usize, lanes: usize) -> Option<usize> {
        match (matrix.other_group, self.other) {
            (None, _) => Some(0),
            (Some(group), Some(other)) => vectors(matrix, other.offset, group, pixels, lanes),
            (Some(_), None) => None,
        }
    }
}

/// The end of `width` numbers that lie some strides, each so many times, behind `first`.
fn end(first: usize, strides: &[(usize, usize)], width: usize) -> Option<usize> {
    let far = |at: usize, &(count, stride): &(usize, usize)| at.checked_add(count.checked_sub(1)?.checked_mul(stride)?);
    strides.iter().try_fold(first, far)?.checked_add(width)
}

fn exactly(factors: &[usize]) -> Option<usize> {
    factors.iter().try_fold(1usize, |product, factor| product.checked_mul(*factor))
}

fn holds(numbers: &Numbers, count: usize) -> Option<()> {
    (count <= numbers.len()).then_some(())
}

/// The input that lies furthest from a pixel's first number, of a matrix whose tiles lie within its tables.
fn furthest(matrix: &Matrix) -> Option<usize> {
    matrix.inputs.iter().max().map(|place| *place as usize)
}

/// The end of what a matrix's vectors of results take for `pixels` pixels, and that of half a vector; nothing where its
/// tables or weights are too short for its tiles.
fn vectors(matrix: &Matrix, first: usize, group: usize, pixels: usize, lanes: usize) -> Option<usize> {
    let mut all = 0;
    for tile in &matrix.tiles {
        let half = if tile.half { lanes / 2 } else { 0 };
        let whole = tile.first.checked_add(tile.vectors)?;
        let each = tile.vectors.checked_mul(lanes)?.checked_add(half)?;
        holds(&matrix.weights, tile.weights.checked_add(tile.depth.checked_mul(each)?)?)?;
        holds(&matrix.bias, whole.checked_mul(lanes)?.checked_add(half)?)?;
        if tile.inputs.checked_add(tile.depth)? > matrix.inputs.len() {
            return None;
        }
        all = all.max(end(first, &[(whole, group), (pixels, lanes)], lanes)?);
        if tile.half {
            all = all.max(end(first.checked_add(whole.checked_mul(group)?)?, &[(pixels, lanes)], half)?);
        }
    }
    Some(all)
}
