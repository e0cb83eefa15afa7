//! Where a step of one run reads and writes, and what every `unsafe` block of the CPU device rests on.
//!
//! The kernels go by pointers: bounds are checked when a step is packed ([`reach`](super::reach)), and checks in the
//! innermost loops would cost more than the arithmetic. Each block cites by number what it relies on; 1 to 4 are what
//! whoever makes [`Places`] promises, 5 is what every owner of memory here keeps to.
//!
//! 1. **Within.** The pointers point to as many numbers as [`Places`] says, which live as long as it is used, and the task
//!    [stays within](super::task::Task::stays_within) one image of each and [fits](super::task::Task::fits) them. So does
//!    every table of the kernel, whose weights and offsets are as long as its tiles, vectors and inputs say.
//! 2. **Own scratch.** No other thread uses the scratch memory.
//! 3. **Apart.** No two units that are computed at once write the same numbers, which holds for different units of one
//!    task, and nobody writes what a unit reads.
//! 4. **Instructions.** The machine has the instruction set that the code is compiled for, and the task was packed for its
//!    lanes.
//! 5. **Owned.** Memory that is reached by a kept pointer does not move, and is freed with its owner; whoever keeps the
//!    pointer keeps the owner, or waits until no thread uses it.

/// Where one task of one run reads and writes.
///
/// # Safety
/// Whoever makes one promises 1 to 4 of the list above.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub x: *const f32,
    pub x_numbers: usize,
    pub y: *mut f32,
    pub y_numbers: usize,
    /// The second operand, of a task that has one.
    pub other: *const f32,
    pub other_numbers: usize,
    pub scratch: *mut f32,
    pub scratch_numbers: usize,
    /// Images.
    pub count: usize,
}
