//! Names that devices have in other programs, and what asks for them here.

use pretrained::DeviceChoice;

/// What to say where no device has the name that was asked for, such as PyTorch's `cuda:0`.
pub fn hint(choice: &DeviceChoice) -> Option<String> {
    let DeviceChoice::Named(name) = choice else { return None };
    let kind = name.split(':').next()?.trim().to_ascii_lowercase();
    ["cuda", "mps", "hip", "rocm", "xpu", "metal", "vulkan"]
        .contains(&kind.as_str())
        .then(|| "--device gpu takes a GPU of any maker; of several, --device takes the number".to_owned())
}
