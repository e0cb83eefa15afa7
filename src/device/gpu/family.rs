//! Which kernels suit an adapter.

/// A set of shaders that go together.
///
/// | adapter | family | why |
/// |---|---|---|
/// | runs on the CPU, subgroups of 8 lanes or more, integers of 64 bits (lavapipe) | `Spread` | every load is done lane by lane and number by number, also where all lanes load the same; so each loads an eighth of the weights, which spread by subgroup operations, and two numbers as one of 64 bits |
/// | any other | `Plain` | loads that all lanes share cost one; no subgroup operations are needed, whose size SwiftShader, for one, has as 4 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Few invocations with large tiles, which spread their weights among 8 lanes.
    Spread,
    /// Many invocations with small tiles, and no subgroup operations.
    Plain,
}

/// Lanes of a subgroup that the shaders of [`Family::Spread`] count on.
const LANES: u32 = 8;

impl Family {
    /// The table above.
    pub fn of(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Self {
        let on_the_cpu = info.device_type == wgpu::DeviceType::Cpu;
        let lanes = info.subgroup_min_size >= LANES && features.contains(Self::Spread.features());
        if on_the_cpu && lanes { Self::Spread } else { Self::Plain }
    }

    /// What its shaders need of the device.
    pub fn features(self) -> wgpu::Features {
        match self {
            Self::Spread => wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_INT64),
            Self::Plain => wgpu::Features::empty(),
        }
    }
}
