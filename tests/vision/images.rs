//! Holds decoding to other people's pictures: Pillow's pixels, or words that are true.

use crate::common;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use image::RgbImage;
use pretrained::vision::{Crop, Decoding, Filter, Limits, Preprocess, Resize, decode, decode_file};
use pretrained::{Error, Result};
use safetensors::SafeTensors;

/// What is not read of `cases/images`, and the words that say so.
const REFUSED: [(&str, &str); 10] = [
    ("avif_named.jpg", "this is an AVIF image, which is not read"),
    ("j_arith.jpg", "a JPEG with arithmetic coding, which is not read; the file is sound"),
    ("j_arith_prog.jpg", "a JPEG with arithmetic coding, which is not read; the file is sound"),
    // Pillow makes these black, or of two colours.
    ("tf_f01.tif", "a TIFF of floats of 32 bits from 0.098"),
    ("tf_i16.tif", "a TIFF of signed integers of 16 bits from -10300 to 6700"),
    ("tf_i8.tif", "a TIFF of signed integers of 8 bits from -103 to 67"),
    ("tf_u32.tif", "a TIFF of integers of 32 bits from"),
    ("tf_lzma.tif", "a TIFF compressed with LZMA, which is not read"),
    ("x.avif", "this is an AVIF image, which is not read"),
    ("x.jp2", "this is a JPEG 2000 image, which is not read"),
];

/// The words of a refusal, which must not speak of damage or of an end that is missing.
fn refusal(name: &str, result: Result<RgbImage>) -> String {
    match result {
        Err(error @ Error::Image { .. }) => {
            let text = error.to_string();
            assert!(!text.contains("damaged") && !text.contains("truncated"), "{name} is whole: {text}");
            text
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn other_peoples_pictures_are_pillows_or_refused_in_true_words() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/images");
    let bytes = fs::read(folder.join("pillow_32x32.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let files = fs::read_dir(&folder).unwrap().count() - 1;
    assert_eq!(files, expected.len(), "every picture has its pixels by Pillow");

    let mut refused: BTreeMap<&str, &str> = REFUSED.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, pixels) in expected.tensors() {
        let result = decode_file(folder.join(&name), &Limits::default());
        if let Some(words) = refused.remove(&name[..]) {
            let text = refusal(&name, result);
            assert!(text.contains(words), "{text}");
            continue;
        }
        let image = match result {
            Ok(image) => image,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let resize = match image.dimensions() {
            (32, 32) => Resize::None,
            _ => Resize::Exact { width: 32, height: 32 },
        };
        let (mean, std) = (vec![0.0; 3], vec![1.0 / 255.0; 3]);
        let filter = Filter::Bilinear;
        let levels = Preprocess {
            decoding: Decoding::Exact,
            resize,
            filter,
            crop: Crop::None,
            grayscale: false,
            bgr: false,
            invert: false,
            mean,
            std,
        };
        let planes = levels.apply(&image).unwrap();
        assert_eq!(pixels.data().len(), planes.values.len(), "{name}");
        let apart = pixels
            .data()
            .iter()
            .enumerate()
            .map(|(i, level)| (planes.values[i % 3 * 1024 + i / 3].round() - f32::from(*level)).abs());
        let most = apart.fold(0.0, f32::max);
        if most > 6.0 {
            wrong.push(format!("{name}: {most} levels from Pillow's pixels"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused.is_empty(), "listed as refused, and not there: {refused:?}");
}

fn small(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images").join(name)).unwrap()
}

fn pixels(name: &str) -> RgbImage {
    decode(name, &small(name), &Limits::default()).unwrap()
}

/// The place of a JPEG's marker.
fn marker(bytes: &[u8], marker: u8) -> usize {
    bytes.windows(2).position(|pair| pair == [0xff, marker]).unwrap()
}

/// Whole files of kinds that are not read, most of them made of a file that is, by what its header says.
#[test]
fn kinds_that_are_not_read_are_named() {
    let grey = small("grey.jpg");
    let frame = marker(&grey, 0xc0);
    let with = |at: usize, value: u8| {
        let mut bytes = grey.clone();
        bytes[at] = value;
        bytes
    };
    let separate = small("separate_410.jpg");
    let luma = marker(&separate, 0xc0) + 11;
    let with_sampling = |factors: [u8; 3]| {
        let mut bytes = separate.clone();
        factors.iter().enumerate().for_each(|(i, both)| bytes[luma + 3 * i] = *both);
        bytes
    };
    let lossless = small("lossless_rgb_4.jpg");
    let scan = marker(&lossless, 0xda);
    let with_restarts = [&lossless[..scan], &[0xff, 0xdd, 0, 4, 0, 9], &lossless[scan..]].concat();
    let mut cut_bits = lossless.clone();
    cut_bits[scan + 13] = 1;
    let tiff = small("white_is_0.tif");
    // Each tag is a little-endian number, its type, and a count of one.
    let tagged_in = |tiff: &[u8], tag: u16, value: u16| {
        let mut bytes = tiff.to_vec();
        let entry = [&tag.to_le_bytes()[..], &3u16.to_le_bytes(), &1u32.to_le_bytes()].concat();
        let at = bytes.windows(8).position(|window| window == entry).unwrap();
        bytes[at + 8..at + 10].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    let tagged = |tag, value| tagged_in(&tiff, tag, value);
    let grey_and_alpha = tagged_in(&small("grey_alpha.tif"), 259, 7);
    let png = small("rgb.png");
    let of_apple = [&png[..8], b"\0\0\0\x04CgBI\x50\0\x20\x02\x2b\xd5\xb3\x7f", &png[8..]].concat();
    // 24 bits a pixel, as they are.
    let dds = [&b"DDS "[..], &[124, 0x100f, 1, 1, 3, 0, 0].map(u32::to_le_bytes).concat(), &[0; 44]].concat();
    let format = [32, 0x40, 0, 24, 0xff_0000, 0xff00, 0xff, 0, 0x1000, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    let dds = [dds, format].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (with(frame + 1, 0xc9), "a JPEG with arithmetic coding, which is not read; the file is sound"),
        (with(frame + 1, 0xca), "a JPEG with arithmetic coding"),
        (with(frame + 1, 0xcb), "a JPEG with arithmetic coding"),
        (with(frame + 1, 0xc5), "a hierarchical JPEG"),
        (with(frame + 1, 0xf7), "a JPEG-LS image"),
        (with(frame + 4, 12), "a JPEG with 12 bits a sample"),
        ([&grey[..frame + 5], &[0, 0], &grey[frame + 7..]].concat(), "gives its height only after the first scan"),
        (with_sampling([0x41, 0x21, 0x11]), "a JPEG in separate scans with sampling factors 4x1,2x1,1x1"),
        (with_sampling([0x31, 0x21, 0x11]), "a JPEG with sampling factors 3x1,2x1,1x1"),
        (with_restarts, "a lossless JPEG with restart markers"),
        (cut_bits, "a lossless JPEG with a point transform"),
        (tagged(262, 4), "a TIFF that is a transparency mask"),
        (grey_and_alpha, "a TIFF of grey, with 2 channels of 8 bits a pixel, compressed with JPEG, which is not read"),
        (tagged(262, 32803), "a raw photo of a camera"),
        (b"II*\0\x08\0\0\0\0\0".to_vec(), "width is missing"),
        (of_apple, "this is a PNG as Apple's tools write it into apps (CgBI), which is not read; convert it"),
        (dds, "this is a DDS image of a kind other than DXT1, DXT3 and DXT5, which is not read; convert it to PNG"),
    ];
    for (bytes, words) in cases {
        let error = decode("picture", &bytes, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("ChunkType") && !error.contains("feature"), "{error}");
        assert!(words.contains("missing") || !error.contains("damaged") && !error.contains("truncated"), "{error}");
    }
}

/// libjpeg takes a transform that Adobe never defined for the usual one: YCbCr, or YCCK where there is black.
#[test]
fn an_unknown_transform_of_adobe_is_the_usual_one() {
    for (name, usual) in [("colour_adobe_2.jpg", 1), ("ycck.jpg", 2)] {
        let read = |transform: u8| {
            let mut bytes = small(name);
            let segment = marker(&bytes, 0xee);
            bytes[segment + 15] = transform;
            decode(name, &bytes, &Limits::default()).unwrap()
        };
        for unknown in [3, 255] {
            assert_eq!(read(unknown), read(usual), "{name}, {unknown}");
        }
    }
    for name in ["rgb_420.jpg", "separate_420.jpg", "no_end_420_zeros.jpg"] {
        let bytes = small(name);
        let with_segment = [&bytes[..2], b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07", &bytes[2..]].concat();
        assert_eq!(decode(name, &with_segment, &Limits::default()).unwrap(), pixels(name), "{name}");
    }
}

/// What an RLE bitmap leaves out, at a line's end, by a step or at the end, has the palette's first colour.
#[test]
fn gaps_in_a_run_length_bitmap_have_the_first_colour() {
    let palette: [[u8; 4]; 3] = [[10, 20, 30, 0], [40, 50, 60, 0], [70, 80, 90, 0]];
    for (bits, compression, data) in [
        (8u16, 1u32, [&[3, 1, 0, 0][..], &[1, 2, 0, 2, 2, 0, 1, 1, 0, 0], &[2, 2, 0, 1]].concat()),
        (4, 2, [&[3, 0x11, 0, 0][..], &[1, 0x20, 0, 2, 2, 0, 1, 0x10, 0, 0], &[2, 0x22, 0, 1]].concat()),
    ] {
        let head = [54 + 12u32, 40, 5, 4].map(u32::to_le_bytes).concat();
        let sizes = [compression, data.len() as u32, 0, 0, 3, 0].map(u32::to_le_bytes).concat();
        let head = [b"BM\0\0\0\0\0\0\0\0", &head[..], &1u16.to_le_bytes(), &bits.to_le_bytes(), &sizes].concat();
        let file = [head, palette.concat(), data].concat();
        let image = decode("runs.bmp", &file, &Limits::default()).unwrap();
        let indices = [[0; 5], [2, 2, 0, 0, 0], [2, 0, 0, 1, 0], [1, 1, 1, 0, 0]];
        for (x, y, pixel) in image.enumerate_pixels() {
            let [blue, green, red, _] = palette[indices[y as usize][x as usize]];
            assert_eq!(pixel.0, [red, green, blue], "{bits} bits: {x}, {y}");
        }
    }
}

/// Without an end marker nothing says that a picture is whole; that its data are cut must be noticed all the same.
#[test]
fn a_cut_jpeg_is_not_whole_because_bytes_follow() {
    for (name, step) in
        [("rgb_420.jpg", 7), ("separate_420.jpg", 11), ("progressive.jpg", 11), ("lossless_rgb_4.jpg", 31)]
    {
        let whole = small(name);
        let image = pixels(name);
        let first_scan = marker(&whole, 0xda);
        for cut in (first_scan..whole.len() - 2).step_by(step).chain([whole.len() - 3, whole.len() - 2]) {
            for filling in [&[0; 600][..], &[0xff; 600], b""] {
                let file = [&whole[..cut], filling].concat();
                match decode(name, &file, &Limits::default()) {
                    Err(error) => assert!(matches!(error, Error::Image { .. }), "{error}"),
                    Ok(found) => {
                        let apart =
                            found.as_raw().iter().zip(image.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                        assert!(apart <= 3, "{name} cut at {cut} of {} and filled: {apart}", whole.len());
                    }
                }
            }
        }
    }
}

/// Pillow's way with Exif: numbers of any type and several of them, a doubled head, segments that are joined; no bytes,
/// no text, no BigTIFF, and nothing after the pixels.
#[test]
fn exif_is_read_as_pillow_reads_it() {
    let whole = small("orientation_6.jpg");
    let at = marker(&whole, 0xe1);
    let (before, rest) = (&whole[..at], &whole[at..]);
    let (segment, rest) = rest.split_at(2 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
    let segment_of = |block: &[u8]| {
        let length = (block.len() as u16 + 8).to_be_bytes();
        [&b"\xff\xe1"[..], &length, b"Exif\0\0", block].concat()
    };
    let size = |file: &[u8]| decode("turned.jpg", file, &Limits::default()).unwrap().dimensions();
    let is_turned = |block: &[u8]| size(&[before, &segment_of(block), rest].concat()) == (16, 24);
    let exif = |kind: u8, count: u8, value: &[u8]| {
        [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0", &[kind, 0, 0, 0, count][..], value].concat()
    };
    // What is longer than four bytes lies where they say.
    let apart = |kind: u8, count: u8, value: &[u8]| exif(kind, count, &[&[0, 0, 0, 22], value].concat());
    let short = exif(3, 1, &[0, 6, 0, 0]);
    let (first, second) = short.split_at(13);
    let turned = [
        short.clone(),
        exif(3, 2, &[0, 6, 0, 1]),
        apart(3, 3, &[0, 6, 0, 1, 0, 1]),
        exif(11, 1, &6.0f32.to_be_bytes()),
        apart(12, 1, &6.0f64.to_be_bytes()),
        apart(5, 1, &[0, 0, 0, 12, 0, 0, 0, 2]),
        [b"Exif\0\0", &short[..]].concat(),
    ];
    for block in turned {
        assert!(is_turned(&block), "{block:?}");
    }
    let mut big = short.clone();
    big[3] = b'+';
    let upright = [
        exif(1, 1, &[6, 0, 0, 0]),
        exif(2, 1, b"6\0\0\0"),
        exif(6, 1, &[6, 0, 0, 0]),
        exif(7, 1, &[6, 0, 0, 0]),
        exif(3, 0, &[0, 6, 0, 0]),
        exif(11, 1, &6.5f32.to_be_bytes()),
        apart(5, 1, &[0, 0, 0, 12, 0, 0, 0, 0]),
        apart(5, 1, &[0, 0, 0, 12, 0, 0]),
        big,
    ];
    for block in upright {
        assert!(!is_turned(&block), "{block:?}");
    }
    assert_eq!(size(&[before, &segment_of(first), &segment_of(second), rest].concat()), (16, 24));
    let (pixels, end) = rest.split_at(rest.len() - 2);
    assert_eq!(size(&[before, pixels, segment, end].concat()), (24, 16));
}

/// One decoder reads four formats, whose family has a name.
#[test]
fn a_cut_ppm_is_no_pbm() {
    let whole = small("rgb.ppm");
    let error = decode("cut.ppm", &whole[..whole.len() - 9], &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("the PNM is truncated"), "{error}");
}

/// A TGA may begin as a cursor does.
#[test]
fn a_tga_is_no_cursor() {
    let tga = small("without_footer.tga");
    assert_eq!(tga[..4], [0, 0, 2, 0]);
    assert_eq!(decode("picture.tga", &tga, &Limits::default()).unwrap(), pixels("without_footer.tga"));
}
