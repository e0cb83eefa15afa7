//! Which kernels suit an adapter, and which of them suit the work of a step.

use super::groups;
use crate::compile::Layout;

/// Tells which kernels run, in place of the adapter: `plain`, or `few` or `many` as if every step had few or many
/// results, or the number of invocations from which on the device is busy.
const KERNELS: &str = "PRETRAINED_KERNELS";

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
    /// Many invocations, by how many results a step has, and no subgroup operations.
    Plain {
        /// Invocations from which on the device is busy without slices.
        full: usize,
    },
}

/// Whether a step has results enough to keep a device busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// The inputs of each are sliced among invocations, which add up what they have.
    Few,
    /// Each invocation computes its own from all inputs.
    Many,
}

/// Lanes of a subgroup that the shaders of [`Family::Spread`] count on.
const LANES: u32 = 8;

impl Family {
    /// The table above, unless the environment says otherwise.
    pub fn of(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Self {
        let on_the_cpu = info.device_type == wgpu::DeviceType::Cpu;
        let lanes = info.subgroup_min_size >= LANES && features.contains(Self::Spread.features());
        let plain = Self::Plain { full: full(info.device_type) };
        match std::env::var(KERNELS).as_deref() {
            Ok("plain") => return plain,
            Ok("few") => return Self::Plain { full: usize::MAX },
            Ok("many") => return Self::Plain { full: 0 },
            Ok(number) => {
                if let Ok(full) = number.parse() {
                    return Self::Plain { full };
                }
            }
            Err(_) => {}
        }
        if on_the_cpu && lanes { Self::Spread } else { plain }
    }

    /// How plans are laid out for it.
    pub fn layout(self) -> Layout {
        Layout { chained: self.repeats(1), ..Layout::of_lanes(groups::LANES) }
    }

    /// Whether its shader of stems takes levels. Where the device is the CPU, to copy numbers costs it 0.4 % of a run.
    pub fn takes_levels(self) -> bool {
        matches!(self, Self::Plain { .. })
    }

    /// What its shaders need of the device.
    pub fn features(self) -> wgpu::Features {
        match self {
            Self::Spread => wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_INT64),
            Self::Plain { .. } => wgpu::Features::empty(),
        }
    }

    /// Whether it takes less time to compute again what so many `invocations` need than to wait until others have it: some
    /// 4 us, in which a unit gets through 20 waves.
    pub fn repeats(self, invocations: usize) -> bool {
        match self {
            Self::Plain { full } => invocations <= full.saturating_mul(10),
            Self::Spread => false,
        }
    }

    /// Of a step that takes so many `invocations` where no input is sliced.
    pub fn results(self, invocations: usize) -> Results {
        match self {
            Self::Plain { full } if invocations < full => Results::Few,
            _ => Results::Many,
        }
    }
}

/// Invocations that make a device of this kind busy: two waves of 64 for each unit that computes one, of which wgpu does not
/// tell the number. Integrated GPUs have some 16, others from 60 to over 500.
pub(super) fn full(kind: wgpu::DeviceType) -> usize {
    const WAVES: usize = 2 * 64;
    match kind {
        wgpu::DeviceType::Cpu => 0,
        wgpu::DeviceType::IntegratedGpu => 16 * WAVES,
        _ => 160 * WAVES,
    }
}
