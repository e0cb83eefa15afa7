//! What a device of this machine is.

use std::fmt;

/// What sort of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU lent by a hypervisor, or one that does not say what it is.
    Other,
    /// A graphics driver that runs on the CPU, such as lavapipe, WARP or SwiftShader.
    Software,
    /// The `cpu` device.
    Cpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Other => "GPU",
            Self::Software => "software GPU",
            Self::Cpu => "CPU",
        })
    }
}

/// One device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What it calls itself, and its backend in parentheses.
    pub name: String,
    /// What sort of device it is.
    pub kind: DeviceKind,
    /// Driver and version; empty where unknown.
    pub driver: String,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.name, self.kind)?;
        if self.driver.is_empty() { Ok(()) } else { write!(f, " {}", self.driver) }
    }
}
