//! From the channels that files hold to 8-bit RGB, in Pillow's arithmetic.

use image::{DynamicImage, RgbImage};

/// Drops alpha, repeats grey, and brings every depth to 8 bits.
pub(super) fn to_rgb(image: DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let high_byte = |value: u16| (value >> 8) as u8;
    // NaN becomes 0.
    let unit = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let values = match &image {
        DynamicImage::ImageLuma8(grey) => spread(grey.as_raw(), 1, |value| value),
        DynamicImage::ImageLumaA8(grey) => spread(grey.as_raw(), 2, |value| value),
        DynamicImage::ImageRgba8(colour) => spread(colour.as_raw(), 4, |value| value),
        DynamicImage::ImageLuma16(grey) => spread(grey.as_raw(), 1, high_byte),
        DynamicImage::ImageLumaA16(grey) => spread(grey.as_raw(), 2, high_byte),
        DynamicImage::ImageRgb16(colour) => spread(colour.as_raw(), 3, high_byte),
        DynamicImage::ImageRgba16(colour) => spread(colour.as_raw(), 4, high_byte),
        DynamicImage::ImageRgb32F(colour) => spread(colour.as_raw(), 3, unit),
        DynamicImage::ImageRgba32F(colour) => spread(colour.as_raw(), 4, unit),
        _ => return image.into_rgb8(),
    };
    RgbImage::from_raw(width, height, values).unwrap_or_else(|| image.into_rgb8())
}

fn spread<T: Copy>(values: &[T], channels: usize, level: impl Fn(T) -> u8) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(values.len() / channels * 3);
    for pixel in values.chunks_exact(channels) {
        let colour = if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
        rgb.extend(colour.map(&level));
    }
    rgb
}

/// `(255 - ink) * (255 - black) / 255`, without a colour profile.
pub(super) fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let paper = u32::from(255 - black);
    [cyan, magenta, yellow].map(|ink| {
        // A rounded quotient by 255.
        let product = u32::from(ink) * paper + 128;
        (paper - (((product >> 8) + product) >> 8)) as u8
    })
}

/// JFIF's full-range YCbCr of ITU-R BT.601.
pub(super) fn ycbcr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let level = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
    [level(y + 1.402 * cr), level(y - 0.344_136 * cb - 0.714_136 * cr), level(y + 1.772 * cb)]
}

/// The colour that was multiplied with its alpha.
pub(super) fn divide_by_alpha(colour: u8, alpha: u8) -> u8 {
    if alpha == 0 { 0 } else { (u32::from(colour) * 255 / u32::from(alpha)).min(255) as u8 }
}

/// CIE L*a*b* under D50 to sRGB: L from 0 to 255, a and b as signed bytes (TIFF 6.0, section 23).
///
/// The matrix is that of the sRGB profile, already adapted to D50 (ICC.1, Bradford).
pub(super) fn lab_to_rgb([l, a, b]: [u8; 3]) -> [u8; 3] {
    let y = (f32::from(l) * 100.0 / 255.0 + 16.0) / 116.0;
    let x = y + f32::from(a.cast_signed()) / 500.0;
    let z = y - f32::from(b.cast_signed()) / 200.0;
    let linear = |t: f32| if t > 6.0 / 29.0 { t * t * t } else { (t - 4.0 / 29.0) * 108.0 / 841.0 };
    let [x, y, z] = [linear(x) * 0.964_22, linear(y), linear(z) * 0.825_21];
    let rgb = [
        3.133_856 * x - 1.616_867 * y - 0.490_615 * z,
        -0.978_768 * x + 1.916_142 * y + 0.033_454 * z,
        0.071_945 * x - 0.228_991 * y + 1.405_243 * z,
    ];
    rgb.map(|light| {
        let light = light.clamp(0.0, 1.0);
        let level = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * libm::powf(light, 1.0 / 2.4) - 0.055 };
        (level * 255.0 + 0.5) as u8
    })
}
