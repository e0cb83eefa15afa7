//! The GPUs that are modelled. README.md says where the numbers come from.

use crate::walk::Costs;
use pretrained::gpu::Kernels;

/// A GPU, as far as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gpu {
    /// What to call it.
    pub name: &'static str,
    /// A line on it.
    pub is: &'static str,
    /// Which kernels it gets.
    pub kernels: Kernels,
    /// Units with a cache and a shared memory of their own.
    pub units: usize,
    /// Vector units.
    pub simds: usize,
    /// Lanes of each.
    pub lanes: usize,
    /// Billions of cycles a second.
    pub ghz: f64,
    /// Billions of bytes a second of its memory.
    pub memory: f64,
    /// Bytes of its last cache.
    pub cache: f64,
    /// Billions of bytes a second of that.
    pub cached: f64,
    /// Microseconds that a dispatch takes which waits for those before it.
    pub wait: f64,
    /// Its own waves, for each of 64 lanes.
    pub waves: usize,
    /// What they take.
    pub costs: Costs,
    /// Bytes of shared memory of each unit.
    pub shared: usize,
    registers: Registers,
}

/// Whose registers decide how many waves a vector unit holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Registers {
    Rdna,
    Nvidia,
    Intel,
}

impl Gpu {
    /// Waves that a vector unit holds at once, of a kernel with so many registers a lane, so many bytes of shared memory and
    /// so many waves of 64 lanes a workgroup.
    pub fn held(&self, registers: u64, shared: u64, waves: usize) -> usize {
        let registers = registers.max(1) as usize;
        let held = match self.registers {
            Registers::Rdna => (512 / registers).min(16),
            Registers::Nvidia => (2048 / registers.max(32) / 4).min(16),
            // Of 8 lanes; up to 64 registers it runs 16 in two cycles, which hides as much as twice as many.
            Registers::Intel if registers <= 64 => 14,
            Registers::Intel => 7,
        };
        let simds = (self.simds / self.units).max(1);
        let fit = self.shared.checked_div(shared as usize).map_or(held, |groups| groups * waves * self.waves / simds);
        held.min(fit).max(1)
    }

    /// Billions of operations a second, at most.
    pub fn peak(&self) -> f64 {
        (self.simds * self.lanes * 2) as f64 * self.ghz
    }
}

/// RDNA 2: a wave of 64 on 32 lanes, and as ACO itself assumes it, 320 cycles for a load and 100 for constants.
const RDNA: Costs =
    Costs { vector: 2.0, load: 320.0, l0: 8.0, constants: 100.0, shared: 40.0, shared_number: 2.0, barrier: 32.0 };

const MIB: f64 = 1048576.0;

/// All of them.
pub const GPUS: [Gpu; 4] = [
    Gpu {
        name: "apu",
        is: "integrated, 8 CUs of RDNA 2 at 1.6 GHz, 88 GB/s",
        kernels: Kernels::Integrated,
        units: 8,
        simds: 16,
        lanes: 32,
        ghz: 1.6,
        memory: 88.0,
        cache: 2.0 * MIB,
        cached: 400.0,
        wait: 4.0,
        waves: 1,
        costs: RDNA,
        shared: 65536,
        registers: Registers::Rdna,
    },
    Gpu {
        name: "navi21",
        is: "80 CUs of RDNA 2 at 2.25 GHz, 512 GB/s, 128 MiB of Infinity Cache",
        kernels: Kernels::Discrete,
        units: 80,
        simds: 160,
        lanes: 32,
        ghz: 2.25,
        memory: 512.0,
        cache: 128.0 * MIB,
        cached: 1600.0,
        wait: 4.0,
        waves: 1,
        costs: RDNA,
        shared: 65536,
        registers: Registers::Rdna,
    },
    Gpu {
        name: "h200",
        is: "132 SMs at 1.98 GHz, 4.8 TB/s, 50 MB of L2; AMD's instructions at NVIDIA's widths",
        kernels: Kernels::Discrete,
        units: 132,
        simds: 528,
        lanes: 32,
        ghz: 1.98,
        memory: 4800.0,
        cache: 50e6,
        cached: 5500.0,
        wait: 3.0,
        waves: 2,
        costs: Costs {
            vector: 1.0,
            load: 270.0,
            l0: 4.0,
            constants: 35.0,
            shared: 30.0,
            shared_number: 1.0,
            barrier: 20.0,
        },
        shared: 233472,
        registers: Registers::Nvidia,
    },
    Gpu {
        name: "intel96",
        is: "integrated, 96 EUs of Xe-LP at 1.3 GHz, 68 GB/s; AMD's instructions on 8 lanes",
        kernels: Kernels::Integrated,
        units: 6,
        simds: 96,
        lanes: 8,
        ghz: 1.3,
        memory: 68.0,
        cache: 3.8 * MIB,
        cached: 160.0,
        wait: 5.0,
        waves: 8,
        costs: Costs {
            vector: 1.0,
            load: 250.0,
            l0: 2.0,
            constants: 150.0,
            shared: 100.0,
            shared_number: 0.5,
            barrier: 40.0,
        },
        shared: 65536,
        registers: Registers::Intel,
    },
];
