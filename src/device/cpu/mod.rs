//! The CPU device: runs a plan with the machine's own vector instructions, on several threads, with nothing installed.

mod area;
mod engine;
mod finish;
mod gathered;
mod isa;
mod job;
mod kernels;
mod line;
mod memory;
mod operands;
mod packer;
mod places;
mod program;
mod reach;
mod shelf;
mod simd;
mod slot;
mod task;
mod work;
mod workers;

pub(super) use engine::Cpu;
pub use engine::CpuOptions;
pub use isa::InstructionSet;
