//! Holds JPEGs to libjpeg's pixels, whole, in part and smaller.

use crate::common;
use image::RgbImage;
use pretrained::vision::{Crop, Decoding, Filter, Limits, Preprocess, Preset, Resize, decode, decode_file, prepare};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of the folder, which libjpeg-turbo wrote.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vision/jpegs");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    files.sort();
    assert!(files.len() > 20);
    files
}

/// The same file with an Exif block that tells its orientation.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" as &[u8], &[orientation], &[0; 6]].concat();
    let length = u16::try_from(2 + 6 + tiff.len()).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[test]
fn pixels_are_libjpegs_to_the_bit() {
    for path in files() {
        let expected = image::open(path.with_extension("png")).unwrap().into_rgb8();
        assert!(decode_file(&path, &Limits::default()).unwrap() == expected, "{}", path.display());
    }
}

/// What a crop does not need is not decoded, and changes nothing.
#[test]
fn a_part_is_what_the_whole_would_give() {
    let limits = Limits::default();
    let sizes =
        [Resize::None, Resize::Exact { width: 20, height: 9 }, Resize::ShorterSide(12), Resize::ShorterSide(70)];
    let crops = [Crop::None, Crop::Centre { width: 8, height: 5 }, Crop::Centre { width: 1, height: 40 }];
    for path in files() {
        let file = fs::read(&path).unwrap();
        for (index, orientation) in (1..=8).enumerate() {
            let bytes = turned(&file, orientation);
            let whole = decode(&path, &bytes, &limits).unwrap();
            for (at, (resize, crop)) in sizes.iter().flat_map(|size| crops.map(|crop| (*size, crop))).enumerate() {
                let filter = Filter::ALL[(index + at) % Filter::ALL.len()];
                let grey = if at % 3 == 0 { Preset::Mnist } else { Preset::Torchvision };
                let preprocess = Preprocess { resize, crop, filter, bgr: at % 2 == 0, ..grey.preprocess() };
                let part = prepare(&path, &bytes, &limits, &preprocess);
                let (part, expected) = (part.unwrap(), preprocess.apply(&whole).unwrap());
                assert!(part == expected, "{} turned {orientation}: {preprocess}", path.display());
            }
        }
    }
}

/// A picture of slopes as large as a photo.
fn large() -> RgbImage {
    RgbImage::from_fn(1000, 750, |x, y| image::Rgb([(x / 4) as u8, (y / 3) as u8, ((x + y) / 8) as u8]))
}

/// Each reduction comes to what the whole picture comes to, but for a level here and there.
#[test]
fn fast_decoding_is_close() {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&large()).unwrap();
    // An eighth, a quarter, a half, and the whole.
    for side in [40, 90, 180, 300] {
        let exact = Preprocess {
            resize: Resize::ShorterSide(side),
            crop: Crop::Centre { width: 30, height: 20 },
            ..Preset::Levels.preprocess()
        };
        let fast = Preprocess { decoding: Decoding::Fast, ..exact.clone() };
        let [exact, fast] = [exact, fast].map(|how| prepare("slopes.jpg", &jpeg, &Limits::default(), &how).unwrap());
        let difference = exact.values.iter().zip(&fast.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference <= 3.0, "shorter side {side}: a level is off by {difference}");
        assert_eq!(difference == 0.0, side == 300, "the size tells whether it is reduced");
    }
}

#[test]
fn fast_decoding_of_photos_changes_levels_little() {
    let Some(shared) = common::shared() else { return };
    for (side, most) in [(34, 2.0), (60, 2.0)] {
        let exact = Preprocess { resize: Resize::ShorterSide(side), crop: Crop::None, ..Preset::Levels.preprocess() };
        let fast = Preprocess { decoding: Decoding::Fast, ..exact.clone() };
        let path = shared.join("data/photos/n02129604_tiger.JPEG");
        let bytes = fs::read(&path).unwrap();
        let [exact, fast] = [exact, fast].map(|how| prepare(&path, &bytes, &Limits::default(), &how).unwrap());
        let sum: f32 = exact.values.iter().zip(&fast.values).map(|(a, b)| (a - b).abs()).sum();
        let mean = sum / exact.values.len() as f32;
        assert!(mean > 0.0 && mean < most, "shorter side {side}: levels are off by {mean} in the mean");
    }
}

/// Bits that are lost or changed somewhere in the data cost the picture or a part of it, and nothing else.
#[test]
fn damaged_data_are_pixels_or_an_error() {
    let mut state = 7u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let small = Limits { pixels: 1 << 16, ..Limits::default() };
    for path in files() {
        let file = fs::read(&path).unwrap();
        for _ in 0..200 {
            let mut bytes = file.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = random(256) as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, random(256) as u8),
                }
            }
            let preprocess =
                Preprocess { crop: Crop::Centre { width: 9, height: 9 }, ..Preset::Torchvision.preprocess() };
            let _ = decode(&path, &bytes, &small);
            for decoding in [Decoding::Exact, Decoding::Fast] {
                let _ = prepare(&path, &bytes, &small, &Preprocess { decoding, ..preprocess.clone() });
            }
        }
    }
}
