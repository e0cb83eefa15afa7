//! Images of folders, lists, archives and streams: which there are, in which order, and what is said of what is none.

use bytes::Bytes;
use pretrained::pipeline::Source;
use pretrained::sources::{self, Folder, Item, List, Options, Shard, expand_braces};
use pretrained::vision::{Limits, Preset};
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A JPEG of one colour.
fn jpeg(level: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = image::RgbImage::from_pixel(20, 16, image::Rgb([level; 3]));
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(&image).unwrap();
    bytes
}

/// The name within `root`, and the level of an image of one colour, or the error.
fn seen(item: &Item, root: &Path) -> (String, Result<u8, String>) {
    let name = item.name().strip_prefix(root).unwrap_or(item.name()).to_str().unwrap().replace('\\', "/");
    let planes = item.prepare(&Limits::default(), &Preset::Levels.preprocess());
    (name, planes.map(|planes| planes.values[0] as u8).map_err(|error| error.to_string()))
}

fn all(items: impl Iterator<Item = Item>, root: &Path) -> Vec<(String, Result<u8, String>)> {
    items.map(|item| seen(&item, root)).collect()
}

/// Members of a tar archive.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn ok(names: &[(&str, u8)]) -> Vec<(String, Result<u8, String>)> {
    names.iter().map(|(name, level)| ((*name).to_owned(), Ok(*level))).collect()
}

#[test]
fn archives_of_every_kind_hold_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/deep.jpg", "long".repeat(40));
    let (one, two, three) = (jpeg(10), jpeg(200), jpeg(90));
    let members: Vec<(&str, &[u8])> = vec![
        ("a/0001.jpg", &one),
        ("a/0001.cls", b"3"),
        ("a/0001.json", b"{\"a\": 1}"),
        ("readme", b"hello"),
        ("0002.jpg", &two),
        ("0002.cls", b"7\n"),
        (&long, &three),
    ];
    let plain = tar(&members);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&plain).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in &members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
    let archives = [
        ("x.tar", plain),
        ("x.tgz", packed.finish().unwrap()),
        ("x.zip", zip.finish().unwrap().into_inner()),
        ("x", zstd),
    ];
    for (name, bytes) in archives {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let items: Vec<Item> = sources::open(&path, &Options::default()).collect();
        let found: Vec<_> = items.iter().map(|item| seen(item, &path)).collect();
        assert_eq!(found, ok(&[("a/0001.jpg", 10), ("0002.jpg", 200), (&long, 90)]), "{name}");
        let classes: Vec<_> = items.iter().map(|item| item.beside("cls").map(Bytes::as_ref)).collect();
        assert_eq!(classes, [Some(b"3" as &[u8]), Some(b"7\n"), None], "{name}");
        assert_eq!(items[0].beside("json").unwrap().as_ref(), b"{\"a\": 1}");
    }
}

#[test]
fn an_archive_that_is_cut_off_or_damaged_gives_what_it_has_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tar");
    let whole = tar(&[("a.jpg", &jpeg(10)), ("b.jpg", &jpeg(20)), ("c.jpg", &jpeg(30))]);
    for cut in [600, 1500, 1536, 2000, 2600, 3400] {
        fs::write(&path, &whole[..cut]).unwrap();
        let found = all(sources::open(&path, &Options::default()), &path);
        let (last, sound) = found.split_last().unwrap();
        assert!(sound.iter().all(|(_, level)| level.is_ok()), "{found:?}");
        let error = last.1.as_ref().unwrap_err();
        assert!(
            error.contains("archive is damaged after") || error.contains("holds no image"),
            "cut at {cut}: {error}"
        );
    }
    let mut changed = whole.clone();
    let second = whole.windows(5).position(|window| window == b"b.jpg").unwrap();
    changed[second] ^= 1;
    fs::write(&path, &changed).unwrap();
    let found = all(sources::open(&path, &Options::default()), &path);
    assert_eq!(found[0], ("a.jpg".to_owned(), Ok(10)));
    assert!(found[1].1.as_ref().unwrap_err().contains("the archive is damaged after member 1"), "{found:?}");
    assert_eq!(found.len(), 2);

    fs::write(&path, tar(&[("a.txt", b"hello"), ("._b.jpg", b"x")])).unwrap();
    let found = all(sources::open(&path, &Options::default()), &path);
    assert!(found[0].1.as_ref().unwrap_err().contains("holds no image file"), "{found:?}");
}

#[test]
fn a_member_over_the_limit_is_an_error_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar");
    fs::write(&path, tar(&[("a.jpg", &jpeg(10)), ("b.jpg", &[7; 5000]), ("c.jpg", &jpeg(30))])).unwrap();
    let limits = Limits { file_bytes: 4000, ..Limits::default() };
    let found = all(sources::open(&path, &Options { limits, ..Options::default() }), &path);
    assert_eq!([&found[0], &found[2]], [&("a.jpg".to_owned(), Ok(10)), &("c.jpg".to_owned(), Ok(30))]);
    assert!(found[1].1.as_ref().unwrap_err().contains("5000 is over the limit of 4000"), "{found:?}");
}

#[test]
fn jpegs_of_a_stream_are_told_apart() {
    let frames: Vec<Vec<u8>> = (0..10).map(|n| jpeg(20 * n)).collect();
    let options = Options { every: 3, ..Options::default() };
    let found = all(sources::stream("-", Cursor::new(frames.concat()), &options), Path::new(""));
    assert_eq!(found, ok(&[("-#0", 0), ("-#3", 60), ("-#6", 120), ("-#9", 180)]));
    // The last is cut off.
    let mut cut = frames.concat();
    cut.truncate(cut.len() - 9);
    let found = all(sources::stream("-", Cursor::new(cut), &Options::default()), Path::new(""));
    assert_eq!((found.len(), found[8].clone()), (10, ("-#8".to_owned(), Ok(160))));
    assert!(found[9].1.is_err(), "{found:?}");
    // One image alone, with or without something after it, of any kind.
    let alone = |bytes: Vec<u8>| all(sources::stream("-", Cursor::new(bytes), &Options::default()), Path::new(""));
    assert_eq!(alone(frames[5].clone()), ok(&[("-", 100)]));
    assert_eq!(alone([&frames[5][..], &[0; 700]].concat()), ok(&[("-", 100)]));
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::from_pixel(3, 3, image::Rgb([9; 3])).write_to(&mut png, image::ImageFormat::Png).unwrap();
    assert_eq!(alone(png.into_inner()), ok(&[("-", 9)]));
    assert!(alone(Vec::new())[0].1.is_err());
    let archive = tar(&[("a.jpg", &frames[1]), ("b.jpg", &frames[2])]);
    assert_eq!(alone(archive), ok(&[("-/a.jpg", 20), ("-/b.jpg", 40)]));
}

/// A file of several pictures, as cameras write for thumbnails and depth, is one image on standard input too.
#[test]
fn a_jpeg_that_names_others_is_one_image() {
    let index = [b"\xff\xe2\0\x0aMPF\0" as &[u8], &[0; 4]].concat();
    let first = jpeg(50);
    let file = [&first[..2], &index, &first[2..], &jpeg(70)].concat();
    let found = all(sources::stream("-", Cursor::new(file), &Options::default()), Path::new(""));
    assert_eq!(found, ok(&[("-", 50)]));
}

#[test]
fn lists_have_a_path_a_line_or_a_zero_byte_after_each() {
    let names = |bytes: &'static [u8], zero| -> Vec<PathBuf> {
        List::new("list", bytes, zero).map(|path| path.unwrap()).collect()
    };
    let expected = ["a b.jpg", "c.png", " d"].map(PathBuf::from);
    assert_eq!(names(b"a b.jpg\nc.png\n\n d", false), expected);
    assert_eq!(names(b"\xef\xbb\xbfa b.jpg\r\nc.png\r\n d\r\n", false), expected);
    assert_eq!(names(b"a b.jpg\0c.png\0 d\0", true), expected);
    assert_eq!(names(b"line\nbreak\0", true), [PathBuf::from("line\nbreak")]);
    let mut endless = List::new("list", std::io::BufReader::new(std::io::repeat(b'x')), false);
    let error = endless.next().unwrap().unwrap_err().absent().unwrap().to_string();
    assert!(error.contains("entry 1 of this list: it is longer than any path") && endless.next().is_none(), "{error}");
}

#[test]
fn a_folder_is_read_in_order_and_says_what_it_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b/2.jpg", "b/10.jpg", "a.jpg", "c.jpg", "b/x/0.jpg", "b.jpg", "notes.txt", "d/README"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap();
    }
    let remarks = Arc::new(Mutex::new(Vec::new()));
    let told = remarks.clone();
    let options =
        Options { remarks: Some(Arc::new(move |text| told.lock().unwrap().push(text))), ..Options::default() };
    let found: Vec<String> = Folder::new(folder.path(), &options).map(|item| seen(&item, folder.path()).0).collect();
    assert_eq!(found, ["a.jpg", "b/10.jpg", "b/2.jpg", "b/x/0.jpg", "b.jpg", "c.jpg"]);
    let remarks = remarks.lock().unwrap();
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].ends_with("2 files were passed over: 1 .txt, 1 without an extension"), "{remarks:?}");
}

/// Every image belongs to one share, and to the same one everywhere.
#[test]
fn shares_are_told_by_names() {
    let shards: Vec<Shard> = (0..4).map(|index| Shard::new(index, 4).unwrap()).collect();
    let mut sizes = [0; 4];
    for number in 0..4000 {
        let name = PathBuf::from(format!("photos/{number}.jpg"));
        let of: Vec<usize> = (0..4).filter(|index| shards[*index].has(&name)).collect();
        assert_eq!(of.len(), 1);
        sizes[of[0]] += 1;
    }
    assert!(sizes.iter().all(|size| (900..1100).contains(size)), "{sizes:?}");
    // By Python: int.from_bytes(hashlib.sha256(b"photos/cat.jpg").digest()[:8], "big") % 7.
    let of: Vec<u64> = (0..7).filter(|index| Shard::new(*index, 7).unwrap().has(Path::new("photos/cat.jpg"))).collect();
    assert_eq!(of, [3]);
    assert!("4/4".parse::<Shard>().is_err() && "0/0".parse::<Shard>().is_err() && "x".parse::<Shard>().is_err());
    assert_eq!("1/3".parse::<Shard>().unwrap().to_string(), "1/3");
}

#[test]
fn shards_are_named_in_braces() {
    assert_eq!(expand_braces("s-{000..002}.tar"), ["s-000.tar", "s-001.tar", "s-002.tar"]);
}
