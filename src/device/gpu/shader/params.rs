//! The parameters of a step: the uniform of every shader.

use bytemuck::{Pod, Zeroable};

/// `Params` of shaders/common/params.wgsl, field by field.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(in crate::device::gpu) struct Params {
    pub x_image: u32,
    pub y_image: u32,
    pub y_offset: u32,
    pub y_group: u32,
    pub x_height: u32,
    pub x_width: u32,
    pub y_height: u32,
    pub y_width: u32,
    pub x_pixel: u32,
    pub inputs: u32,
    pub runs: u32,
    pub out_groups: u32,
    pub rows: u32,
    pub stride: [u32; 2],
    pub dilation: [u32; 2],
    /// Top, left, bottom, right.
    pub padding: [u32; 4],
    pub other_image: u32,
    pub other_offset: u32,
    pub other_pixel: u32,
    pub images: u32,
    pub activation: [f32; 2],
    pub inner: [f32; 2],
    /// Uniforms are sized in units of 16 bytes.
    pub unused: [u32; 3],
}

#[cfg(test)]
mod tests {
    use super::Params;
    use std::mem::{offset_of, size_of};

    #[test]
    fn shaders_find_every_parameter_at_its_place() {
        let text = include_str!("../../../../shaders/common/params.wgsl");
        let module = naga::front::wgsl::parse_str(text).unwrap();
        let params = module.types.iter().find(|(_, found)| found.name.as_deref() == Some("Params")).unwrap().1;
        let naga::TypeInner::Struct { members, span } = &params.inner else { panic!("{params:?}") };
        assert!(*span as usize <= size_of::<Params>());
        let at =
            |name: &str| members.iter().find(|member| member.name.as_deref() == Some(name)).unwrap().offset as usize;
        macro_rules! same {
            ($($field:ident: $($name:literal)*),* $(,)?) => {{
                $(for (i, name) in [$($name),*].into_iter().enumerate() {
                    assert_eq!(at(name), offset_of!(Params, $field) + i * 4, "{name}");
                })*
                assert_eq!(members.len(), [$($($name),*),*].len());
            }};
        }
        same! {
            x_image: "x_image",
            y_image: "y_image",
            y_offset: "y_offset",
            y_group: "y_group",
            x_height: "x_height",
            x_width: "x_width",
            y_height: "y_height",
            y_width: "y_width",
            x_pixel: "x_pixel",
            inputs: "inputs",
            runs: "runs",
            out_groups: "out_groups",
            rows: "rows",
            stride: "stride_y" "stride_x",
            dilation: "dilation_y" "dilation_x",
            padding: "top" "left" "bottom" "right",
            other_image: "other_image",
            other_offset: "other_offset",
            other_pixel: "other_pixel",
            images: "images",
            activation: "a" "b",
            inner: "inner_a" "inner_b",
        }
    }
}
