//! What the kernel of a step decides: its shader and constants, its table, its weights and its workgroups.

use crate::device::gpu::shader::Shader;
use crate::device::gpu::workgroups::Workgroups;
use crate::graph::{Activation, Window};

/// A kernel that is chosen for a step, with what differs between kernels.
pub(in crate::device::gpu) struct Kernel {
    pub shader: Shader,
    /// Values of the shader's `override`s, but for the activation.
    pub constants: Vec<(&'static str, usize)>,
    pub table: Vec<usize>,
    /// Groups or channels that an output is made of.
    pub inputs: usize,
    /// Runs of groups that they lie in.
    pub runs: usize,
    pub window: Window,
    /// Rows that an invocation computes.
    pub rows: usize,
    /// Images whose pixels are counted on, one image after the other.
    pub images: usize,
    /// What is applied to what results are made of.
    pub inner: Option<Activation>,
    /// Weight and bias, packed.
    pub weights: Option<[Vec<f32>; 2]>,
    pub workgroups: Workgroups,
}

impl Kernel {
    pub fn new(shader: Shader, table: Vec<usize>, workgroups: Workgroups) -> Self {
        let (constants, weights, window) = (Vec::new(), None, Window::square(1));
        Self {
            shader,
            constants,
            table,
            inputs: 0,
            runs: 0,
            window,
            rows: 1,
            images: 1,
            inner: None,
            weights,
            workgroups,
        }
    }

    pub fn constant(mut self, name: &'static str, value: usize) -> Self {
        self.constants.push((name, value));
        self
    }
}
