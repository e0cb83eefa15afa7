//! The buffers that a shader binds, and the few layouts of them that shaders share.

use super::params::Params;
use super::source::Shader;
use crate::device::gpu::content::LARGEST;
use std::ops::Index;

/// What a shader binds besides its parameters, its input, its table and its output. Shaders that bind the same share a
/// layout, and between their pipelines bindings stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::device::gpu) enum Signature {
    Plain,
    /// Weights and a bias.
    Weighted,
    /// A second operand.
    Paired,
    WeightedPaired,
}

/// A binding as a shader declares it.
pub(in crate::device::gpu) struct Declaration {
    pub binding: u32,
    pub kind: wgpu::BufferBindingType,
    /// The fewest bytes that may be bound.
    pub least: u64,
}

impl Signature {
    const ALL: [Self; 4] = [Self::Plain, Self::Weighted, Self::Paired, Self::WeightedPaired];

    pub fn weighted(self) -> bool {
        matches!(self, Self::Weighted | Self::WeightedPaired)
    }

    pub fn paired(self) -> bool {
        matches!(self, Self::Paired | Self::WeightedPaired)
    }

    /// The bindings, in order.
    pub fn bindings(self) -> impl Iterator<Item = Declaration> {
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let declared = |binding, kind, least| Declaration { binding, kind, least };
        // The table and biases are matrices, and weights two, which constants are filled up to; elsewhere a load may bring two
        // vectors.
        let always = [
            declared(0, wgpu::BufferBindingType::Uniform, size_of::<Params>() as u64),
            declared(1, storage(true), 32),
            declared(2, storage(true), 64),
            declared(3, storage(false), 32),
        ];
        let weights = [declared(4, storage(true), LARGEST as u64), declared(5, storage(true), 64)];
        let weights = weights.into_iter().filter(move |_| self.weighted());
        let other = [declared(6, storage(true), 32)].into_iter().filter(move |_| self.paired());
        always.into_iter().chain(weights).chain(other)
    }
}

impl Shader {
    pub(in crate::device::gpu) fn signature(self) -> Signature {
        let parts = self.parts();
        match (parts.weights.is_some(), parts.other.is_some()) {
            (false, false) => Signature::Plain,
            (true, false) => Signature::Weighted,
            (false, true) => Signature::Paired,
            (true, true) => Signature::WeightedPaired,
        }
    }
}

/// A value for each signature.
#[derive(Debug)]
pub(in crate::device::gpu) struct BySignature<T>([T; 4]);

impl<T> BySignature<T> {
    pub fn new(make: impl FnMut(Signature) -> T) -> Self {
        Self(Signature::ALL.map(make))
    }
}

impl<T> BySignature<Option<T>> {
    /// All of them, or none where one is missing.
    #[allow(dead_code, reason = "wgpu always makes its layouts")]
    pub fn all(self) -> Option<BySignature<T>> {
        let [plain, weighted, paired, both] = self.0;
        Some(BySignature([plain?, weighted?, paired?, both?]))
    }
}

impl<T> Index<Signature> for BySignature<T> {
    type Output = T;

    fn index(&self, signature: Signature) -> &T {
        &self.0[signature as usize]
    }
}
