//! What is cut out of a resized image.

/// What is cut out of the resized image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Crop {
    /// Nothing: the resized image is the input.
    None,
    /// The middle, as `torchvision.transforms.CenterCrop` cuts it: an offset of a half goes to the even number, and
    /// what is smaller than the crop is padded with black.
    Centre {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
}
