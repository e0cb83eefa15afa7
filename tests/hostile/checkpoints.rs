//! Opens checkpoints that are damaged or made to harm: each must be an error, without a panic, a call, or much memory.

use crate::build::{self, legacy_file, open_bytes, open_bytes_with, pickle_of, safetensors_file, zip_file, zip_with};
use crate::{assert_refused, bend, refused, small, survive};
use pretrained::{Error, Limits, StateDict};
use proptest::prelude::*;
use std::path::Path;

fn assert_over_limit(bytes: &[u8], what: &str) {
    match open_bytes(bytes) {
        Err(Error::Limit { what: found, .. }) => assert!(found.contains(what), "{found}"),
        other => panic!("{other:?}"),
    }
}

/// A pickle made of `parts`, as the zip archive that holds nothing else.
fn zip_of_pickle(parts: &[&[u8]]) -> Vec<u8> {
    let mut pickle = b"\x80\x02".to_vec();
    parts.iter().for_each(|part| pickle.extend_from_slice(part));
    zip_with(&[("a/data.pkl", &pickle), ("a/version", b"3\n")], false)
}

#[test]
fn the_valid_files_that_the_others_are_made_from_open() {
    for bytes in [zip_file(), zip_with(&build::zip_entries(), true), legacy_file(), safetensors_file()] {
        let dict = open_bytes(&bytes).unwrap();
        assert_eq!(dict.get("w").unwrap().to_f32_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(dict.get("w").unwrap().shape(), [2, 3]);
        assert_eq!(dict.get("t").unwrap().to_f32_vec(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}

#[test]
fn truncated_anywhere_is_an_error() {
    for bytes in [zip_file(), legacy_file(), safetensors_file()] {
        for end in 0..bytes.len() {
            let found = open_bytes(&bytes[..end]);
            assert!(found.is_err(), "{end} of {} bytes: {found:?}", bytes.len());
        }
    }
}

#[test]
fn empty_and_strange_files_are_named() {
    assert_refused(b"", "is empty");
    assert_refused(b"<html><body>404</body></html>", "web page");
    assert_refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull");
    assert_refused(&[7; 100], "07 07 07");
    assert_refused(b"{\"weights\": 1}", "weight_map");
    assert_refused(&zip_with(&[("word/document.xml", b"<w/>")], false), "no data.pkl");
    assert_refused(&zip_with(&[("arr_0.npy", b"\x93NUMPY")], false), ".npz");
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert_refused(&tar, "tar archive");
    let folder = tempfile::tempdir().unwrap();
    assert!(StateDict::open(folder.path()).unwrap_err().to_string().contains("holds no checkpoint"));
    assert!(matches!(StateDict::open(folder.path().join("absent")), Err(Error::Io { .. })));
    #[cfg(unix)]
    assert!(StateDict::open("/dev/zero").unwrap_err().to_string().contains("no regular file"));
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let limits = Limits { file_bytes: 100, ..Limits::default() };
    let bytes = zip_file();
    match open_bytes_with(&bytes, &limits) {
        Err(Error::Limit { found, limit: 100, .. }) => assert_eq!(found, bytes.len() as u64),
        other => panic!("{other:?}"),
    }
}

// safetensors

fn safetensors_with(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn safetensors_headers_that_lie() {
    let mut huge = safetensors_file();
    huge[..8].copy_from_slice(&(1u64 << 50).to_le_bytes());
    assert_over_limit(&huge, "header");
    huge[..8].copy_from_slice(&(1u64 << 20).to_le_bytes());
    assert_refused(&huge, "claims a header of 1048576 bytes");
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (header, reason) in [
        (tensor("F32", "[4611686018427387904,4]", "[0,8]"), "not valid"),
        (tensor("U8", "[18446744073709551610]", "[0,18446744073709551610]"), "and 8 follow"),
        (tensor("U8", "[8]", "[8,0]"), "not valid"),
        (tensor("U8", "[7]", "[1,8]"), "not valid"),
        (tensor("U8", "[9]", "[0,9]"), "cut short"),
        (tensor("U8", "[7]", "[0,7]"), "damaged"),
        (tensor("U8", "[-8]", "[0,8]"), "not valid"),
        (tensor("F8_E4M3", "[8]", "[0,8]"), "no tensor that is read: `w` (its elements are F8_E4M3, which are not read; save it as F32"),
        (tensor("C64", "[1]", "[0,8]"), "no tensor that is read: `w` (its elements are C64"),
        (tensor("X9", "[1]", "[0,8]"), "no tensor that is read: `w` (its elements are X9"),
        ("{\"a\":".into(), "not valid"),
        ("[".repeat(100_000), "no known format"),
        (format!("{{\"a\":{}", "[".repeat(100_000)), "not valid"),
        (
            r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#
                .into(),
            "not valid",
        ),
        // One that reaches beyond the data, though what is sorted last ends with it.
        (
            r#"{"a":{"dtype":"U8","shape":[99],"data_offsets":[0,99]},"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}"#
                .into(),
            "describes 99 bytes of data and 8 follow",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}"#
                .into(),
            "twice",
        ),
    ] {
        assert_refused(&safetensors_with(&header, &[0; 8]), reason);
    }
    // Eight tensors that end where adding the header's length wraps around.
    let size = (1u64 << 61) - 1;
    let tensors: Vec<String> = (0..8u64)
        .map(|n| {
            let (start, end) = (n * size, (n + 1) * size);
            format!(r#""{n}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    assert_refused(
        &safetensors_with(&format!("{{{}}}", tensors.join(",")), &[0; 8]),
        "describes 18446744073709551608 bytes of data and 8 follow",
    );
}

#[test]
fn safetensors_that_are_not_all_read() {
    let tensor = |dtype: &str, start: u32| {
        format!(r#"{{"dtype":"{dtype}","shape":[1],"data_offsets":[{start},{}]}}"#, start + 4)
    };
    let all: Vec<String> = ["F32", "F8_E5M2", "C64", "F4", "X9"]
        .iter()
        .zip(0u32..)
        .map(|(dtype, n)| format!(r#""a.{dtype}":{}"#, tensor(dtype, 4 * n)))
        .collect();
    let metadata =
        r#"{"epoch":3,"format":"pt","b.weight":"a.F32","a.F32":"a.C64","author":"a.F32","c.weight":"a.C64"}"#;
    let header = format!(r#"{{"__metadata__":{metadata},{}}}"#, all.join(","));
    let dict = open_bytes(&safetensors_with(&header, &[0; 20])).unwrap();
    // One tensor of two names is written once, and the metadata says what else it is called.
    assert_eq!(dict.names().collect::<Vec<_>>(), ["a.F32", "b.weight"]);
    assert_eq!(dict.left_out().keys().collect::<Vec<_>>(), ["a.F8_E5M2", "a.C64", "a.F4", "a.X9"]);
    assert!(dict.left_out()["a.C64"].contains("its elements are C64"));
    assert_eq!(dict.metadata()["epoch"], "3");
    let left = "left out what is not read: `a.F8_E5M2` (its elements are F8_E5M2, which are not read; save it as F32, ";
    assert!(dict.notes()[0].starts_with(left), "{:?}", dict.notes());
    assert_eq!(dict.notes()[1], "`b.weight` is `a.F32`, as the metadata says");
}

#[test]
fn shards_stay_in_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("out.safetensors"), safetensors_file()).unwrap();
    std::fs::write(inside.join("in.safetensors"), safetensors_file()).unwrap();
    let open = |name: &str, shard: &str| {
        let index = inside.join("m.index.json");
        std::fs::write(&index, serde_json::json!({ "weight_map": { name: shard } }).to_string()).unwrap();
        StateDict::open(&index).map_err(|error| error.to_string())
    };
    assert_eq!(open("w", "in.safetensors").unwrap().names().collect::<Vec<_>>(), ["w"]);
    let absolute = folder.path().join("out.safetensors");
    for shard in
        ["../out.safetensors", absolute.to_str().unwrap(), "", ".", "a/../../out.safetensors", "..\\out", "C:x"]
    {
        let found = open("w", shard).unwrap_err();
        assert!(found.contains("must lie in the same folder"), "{found}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absolute, inside.join("link.safetensors")).unwrap();
        assert!(open("w", "link.safetensors").unwrap_err().contains("link out of the folder"));
        std::os::unix::fs::symlink(inside.join("in.safetensors"), inside.join("good.safetensors")).unwrap();
        assert!(open("w", "good.safetensors").is_ok());
    }
    assert!(open("w", "absent.safetensors").unwrap_err().contains("`absent.safetensors` is missing"));
    assert!(open("v", "in.safetensors").unwrap_err().contains("puts `v` into in.safetensors"));
}

// pickles

#[test]
fn nothing_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("ran");
    let command = format!("touch {}", trace.display());
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let calls: [Vec<u8>; 5] = [
        [b"cos\nsystem\n", &text(&command)[..], b"\x85R."].concat(),
        [b"(", &text(&command)[..], b"ios\nsystem\n."].concat(),
        [b"(cos\nsystem\n", &text(&command)[..], b"o."].concat(),
        [&text("os")[..], &text("system"), b"\x93", &text(&command), b"\x85R."].concat(),
        // Hidden in the state dict of an otherwise honest file.
        [b"}", &text("w")[..], b"cos\nsystem\n", &text(&command), b"\x85Rs."].concat(),
    ];
    for call in calls {
        assert_refused(&zip_of_pickle(&[&call]), "refused os.system: a checkpoint may only hold tensors");
    }
    // All names in one error, each once. What is only mentioned would not be called.
    let several = b"(cbuiltins\neval\n)Rcbuiltins\neval\n)Rcsubprocess\nPopen\n)Rcos\nexecv\nt.";
    assert_refused(&zip_of_pickle(&[several]), "refused builtins.eval, subprocess.Popen: a");
    let crowd: Vec<u8> = (0..1000).flat_map(|n| format!("csubprocess\nf{n}\n)R0").into_bytes()).collect();
    let found = refused(&zip_of_pickle(&[&crowd, b"N."]));
    assert!(found.contains("subprocess.f15 and 984 more") && found.len() < 1000, "{found}");
    assert!(!Path::new(&trace).exists(), "the pickle was run");
}

#[test]
fn depth_costs_nothing() {
    for (open, wrap) in [(&b")"[..], &b"\x85"[..]), (b"]", b"]2a0"), (b"N", b"}K\x01NN\x87R")] {
        let deep = zip_of_pickle(&[open, &wrap.repeat(100_000), b"."]);
        assert!(open_bytes(&deep).is_err());
    }
    assert_refused(&zip_of_pickle(&[b")", &b"\x85".repeat(100_000), b"."]), "holds a tuple, not a state dict");
    assert_refused(&zip_of_pickle(&[&b"(".repeat(100_000), b"."]), "stack is empty");
}

#[test]
fn memo_bombs_do_not_expand() {
    // Each level is a list of two of the level before: 2^1000 items, were they ever written out.
    let mut bomb = b"]q\x000".to_vec();
    for _ in 0..1000 {
        bomb.extend_from_slice(b"]h\x00ah\x00aq\x000");
    }
    assert_refused(&zip_of_pickle(&[&bomb, b"h\x00."]), "holds a list");
    // A list that holds itself, a dict that is its own value, and a tuple around its own list.
    assert_refused(&zip_of_pickle(&[b"]q\x00h\x00a."]), "holds a list");
    assert_refused(&zip_of_pickle(&[b"}q\x00U\x05modelh\x00s."]), "holds no tensors");
    assert_refused(&zip_of_pickle(&[b"]q\x00h\x00\x85q\x01ah\x01."]), "holds a tuple");
    // Copies are counted: one list of 20,000 pairs, turned into a dict a thousand times.
    let pairs = b"NN\x86".repeat(20_000);
    let copies = b"ccollections\nOrderedDict\nh\x00\x85R0".repeat(1000);
    assert_over_limit(&zip_of_pickle(&[b"(", &pairs, b"lq\x000", &copies, b"N."]), "opcodes");
    // A long text under many keys is held once in the file and must not be held once a key.
    let text = [b"U\xff", &[b'x'; 255][..], b"q\x000"].concat();
    let keys: Vec<u8> = (0..30_000u16).flat_map(|n| [b"M", &n.to_le_bytes()[..], b"h\x00s"].concat()).collect();
    let pickle = pickle_of(&[("w", 0, &[1], &[1])], &[&text[..], b"}", &keys].concat(), true);
    let small = Limits { expanded_bytes: 0, ..Limits::default() };
    let file = zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 24])], false);
    let held: usize = open_bytes_with(&file, &small).unwrap().metadata().values().map(String::len).sum();
    assert!(held <= file.len(), "{held}");
}

#[test]
fn pickles_that_make_no_sense() {
    for (pickle, reason) in [
        (&b"."[..], "stack is empty"),
        (b"h\x05.", "its memo has nothing at 5"),
        (b"t.", "no mark is open"),
        (b"Na.", "stack is empty"),
        (b"NNa.", "items for what is no list"),
        (b"}Nu.", "no mark is open"),
        (b"}(Nu.", "a key without a value"),
        (b"X\xff\xff\xff\xff.", "ends too early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "ends too early"),
        (b"\x8b\xff\xff\xff\xff.", "ends too early"),
        (b"U\x02\xff\xfe.", "holds bytes"),
        (b"X\x01\0\0\0\xff.", "no UTF-8"),
        (b"I12", "within a line"),
        (b"Iseven\n.", "an integer is not"),
        (b"\xff.", "unknown opcode 0xff"),
        (b"\x80\x09.", "protocol 9"),
        (b"\x82\x01.", "registered extension"),
        (b"\x97.", "buffer outside"),
        (b"NNR.", "arguments are no tuple"),
        (b"NNb.", "state for what has none"),
        (b"}.", "it is an empty dict"),
        (b"}U\x01aK\x01s.", "its keys are `a`"),
        (b"N", "ends too early"),
    ] {
        assert_refused(&zip_of_pickle(&[pickle]), reason);
    }
    let limits = Limits { pickle_opcodes: 100, ..Limits::default() };
    let long = zip_of_pickle(&[&b"N0".repeat(100), b"N."]);
    assert!(matches!(open_bytes_with(&long, &limits), Err(Error::Limit { found: 101, limit: 100, .. })));
}

// tensors

/// A zip with one tensor `w` over the storage of 24 bytes.
fn zip_with_view(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let pickle = pickle_of(&[("w", offset, shape, strides)], b"", true);
    zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 24])], false)
}

#[test]
fn views_reach_no_further_than_their_storage() {
    assert!(open_bytes(&zip_with_view(0, &[2, 3], &[3, 1])).is_ok());
    assert_refused(&zip_with_view(1, &[2, 3], &[3, 1]), "tensor `w`: it reaches to byte 28 of a storage of 24 bytes");
    assert_refused(&zip_with_view(0, &[2, 3], &[4, 1]), "reaches to byte 28");
    assert_refused(&zip_with_view(-1, &[2, 3], &[3, 1]), "its offset is no count");
    assert_refused(&zip_with_view(0, &[-2, 3], &[3, 1]), "its shape is no tuple");
    assert_refused(&zip_with_view(0, &[2, 3], &[-3, 1]), "its strides are no tuple");
    assert_refused(&zip_with_view(0, &[2, 3], &[3]), "differ in length");
    assert_refused(&zip_with_view(0, &[1 << 62, 1 << 62], &[0, 0]), "overflows");
    assert_refused(&zip_with_view(0, &[2], &[i64::MAX]), "overflows");
    assert_refused(&zip_with_view(0, &[1; 65], &[1; 65]), "up to 64 counts");
    // The stride of a dimension of 1 is never walked.
    assert!(open_bytes(&zip_with_view(0, &[1, 3, 1], &[i64::MAX, 2, i64::MAX])).is_ok());
}

#[test]
fn a_tensor_of_64_gb_without_strides_is_over_the_limit() {
    match open_bytes(&zip_with_view(0, &[16_000_000_000], &[0])) {
        Err(Error::Limit { what, found, limit, .. }) => {
            assert!(what.contains("tensor `w` of shape [16000000000]"), "{what}");
            assert!(found > 64_000_000_000 && limit < 2 << 30, "{found} {limit}");
        }
        other => panic!("{other:?}"),
    }
    // A hundred tensors of 16 MB each pass one by one and not together.
    let names: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), 0, &[4_000_000][..], &[0][..])).collect();
    let file = zip_with(&[("a/data.pkl", &pickle_of(&tensors, b"", true)), ("a/data/0", &[0; 24])], false);
    let limits = Limits { expanded_bytes: 64 << 20, ..Limits::default() };
    assert!(matches!(open_bytes_with(&file, &limits), Err(Error::Limit { .. })));
}

// zip archives

#[test]
fn the_text_of_a_pickle_counts_beside_the_pickle_itself() {
    let text = "a".repeat(600 << 10);
    let length = (text.len() as u32).to_le_bytes();
    let spellings: [(&[u8], &[u8]); 5] = [
        (&[b"X", &length[..]].concat(), b""),
        (&[b"\x8d", &length[..], &[0; 4]].concat(), b""),
        (&[b"T", &length[..]].concat(), b""),
        (b"S'", b"'\n"),
        (b"V", b"\n"),
    ];
    let limits = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    for (before, after) in spellings {
        let pickle = [b"\x80\x02}", before, text.as_bytes(), after, b"Ns."].concat();
        match open_bytes_with(&zip_with(&[("a/data.pkl", &pickle)], true), &limits) {
            Err(Error::Limit { what, found, .. }) => {
                assert!(what.contains("the text in a/data.pkl") && found >= 1200 << 10, "{what}: {found}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Bytes are not copied.
    let pickle = [b"\x80\x03}X\x01\0\0\0aB", &length[..], text.as_bytes(), b"s."].concat();
    let found = open_bytes_with(&zip_with(&[("a/data.pkl", &pickle)], true), &limits);
    assert!(matches!(found, Err(Error::Checkpoint { .. })), "{found:?}");
}

#[test]
fn zip_bombs_are_refused_before_they_are_unpacked() {
    let zeros = vec![0; 8 << 20];
    let entries = [("a/data.pkl", &pickle_of(&[("w", 0, &[6], &[1])], b"", true)[..]), ("a/data/0", &zeros)];
    let honest = zip_with(&entries, true);
    assert!(honest.len() < 100_000 && open_bytes(&honest).is_ok());
    let limits = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    match open_bytes_with(&honest, &limits) {
        Err(Error::Limit { what, found, .. }) => assert!(what.contains("a/data/0") && found >= 8 << 20, "{what}"),
        other => panic!("{other:?}"),
    }
    // The same, claiming 4 GB, 24 bytes, or none.
    for (claim, reason) in
        [(0xffff_fff0u32, "memory"), (24, "larger than its declared"), (0, "larger than its declared")]
    {
        let bomb = build::claim_size(&honest, "a/data/0", claim);
        assert_refused(&bomb, reason);
    }
    assert_refused(&build::claim_size(&honest, "a/data/0", 9 << 20), "cannot be read");
}

#[test]
fn a_stored_entry_has_the_size_that_it_claims() {
    for claim in [20, 28, 1 << 20] {
        assert_refused(&build::claim_size(&zip_file(), "a/data/0", claim), "its entry a/data/0 cannot be read");
    }
}

#[test]
fn zips_that_lack_or_repeat_what_they_should_hold() {
    let pickle = pickle_of(&[("w", 0, &[6], &[1])], b"", true);
    let data = ("a/data.pkl", &pickle[..]);
    assert_refused(&zip_with(&[data], false), "has no entry a/data/0, which its tensors need");
    assert_refused(
        &zip_with(&[data, ("a/data/0", &[0; 20])], false),
        "should hold 6 elements of 4 bytes and has 20 bytes",
    );
    assert_refused(&zip_with(&[data, ("a/data/0", &[0; 24]), ("a/byteorder", b"big")], false), "byte order is `big`");
    assert!(open_bytes(&zip_with(&[data, ("a/data/0", &[0; 24]), ("a/byteorder", b"little")], false)).is_ok());
    assert_refused(&zip_with(&[data, ("b/data.pkl", &pickle)], false), "several data.pkl");
    assert_refused(&zip_with(&[("a/x.pth", &zip_file()[..])], false), "unpack it first");
    // The writer refuses to repeat a name, so it is put there afterwards.
    let mut twice = zip_with(&[data, ("a/data/0", &[0; 24]), ("a/data/1", &[1; 24])], false);
    build::replace_all(&mut twice, b"a/data/1", b"a/data/0");
    assert_refused(&twice, "two entries of one name");
}

#[test]
fn needless_zip64_records_do_not_shift_the_archive() {
    // PyTorch writes 76 bytes of zip64 records into every archive; a first entry of as many bytes was taken for them.
    let folder = "shufflenetv2_tiny_odd";
    let pickle = pickle_of(&[("w", 0, &[6], &[1])], b"", true);
    let (data, storage) = (format!("{folder}/data.pkl"), format!("{folder}/data/0"));
    let plain = zip_with(&[(&data, &pickle), (&storage, &[0; 24])], false);
    let end = plain.len() - 22;
    let count = u64::from(u16::from_le_bytes(plain[end + 10..end + 12].try_into().unwrap()));
    let size = u64::from(u32::from_le_bytes(plain[end + 12..end + 16].try_into().unwrap()));
    let start = u64::from(u32::from_le_bytes(plain[end + 16..end + 20].try_into().unwrap()));
    let mut file = plain[..end].to_vec();
    file.extend_from_slice(b"PK\x06\x06");
    file.extend_from_slice(&44u64.to_le_bytes());
    file.extend_from_slice(&[0x1e, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [count, count, size, start].iter().for_each(|number| file.extend_from_slice(&number.to_le_bytes()));
    file.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    file.extend_from_slice(&(end as u64).to_le_bytes());
    file.extend_from_slice(&1u32.to_le_bytes());
    assert_eq!(file.len(), end + 76);
    file.extend_from_slice(&plain[end..]);
    assert_eq!(open_bytes(&file).unwrap().len(), 1);
}

// the legacy stream

#[test]
fn legacy_streams_that_lie() {
    let good = legacy_file();
    let count = good.len() - 24 - 8;
    assert_eq!(good[count..count + 8], 6i64.to_le_bytes());
    for (claim, found) in [(-1i64, "-1 elements where 6"), (i64::MIN, "elements where 6"), (7, "7 elements where 6")] {
        let mut bad = good.clone();
        bad[count..count + 8].copy_from_slice(&claim.to_le_bytes());
        assert_refused(&bad, found);
    }
    let tensors: &[(&str, i64, &[i64], &[i64])] = &[("w", 0, &[6], &[1])];
    let data = [&6i64.to_le_bytes()[..], &[0; 24]].concat();
    let build = |pickle: &[u8], keys: &[u8], data: &[u8]| build::legacy_with(pickle, keys, data);
    let pickle = pickle_of(tensors, b"", false);
    assert!(open_bytes(&build(&pickle, b"](U\x010e.", &data)).is_ok());
    assert_refused(&build(&pickle, b"].", &data), "has no storage 0, which its tensors need");
    assert_refused(&build(&pickle, b"](U\x011e.", &data), "lists a storage `1` that no tensor describes");
    assert_refused(&build(&pickle, b"](U\x010U\x010e.", &[&data[..], &data].concat()), "is listed twice");
    assert_refused(&build(&pickle, b"N.", &data), "in None, not a list");
    let huge = build::pickle_of_count(tensors, b"", false, i64::MAX);
    let huge_data = [&i64::MAX.to_le_bytes()[..], &[0; 24]].concat();
    assert_refused(&build(&huge, b"](U\x010e.", &huge_data), "is cut off");
    let negative = build::pickle_of_count(tensors, b"", false, -6);
    assert_refused(&build(&negative, b"](U\x010e.", &data), "no proper size");
}

#[test]
fn legacy_streams_of_other_machines_and_times() {
    let bent = |from: &[u8], to: &[u8]| {
        let mut bytes = legacy_file();
        build::replace_all(&mut bytes, from, to);
        assert_ne!(bytes, legacy_file());
        bytes
    };
    assert_refused(&bent(b"endian\x88", b"endian\x89"), "written on a big-endian machine");
    assert_refused(&bent(b"M\xe9\x03.", b"M\xea\x03."), "its protocol is 1002; only 1001 is known");
    assert_refused(&bent(b"M\xe9\x03.", b"K\x03N."), "its protocol is None; only 1001 is known");
}

#[test]
fn legacy_tensors_that_disagree_on_their_storage() {
    let tensors: &[(&str, i64, &[i64], &[i64])] = &[("w", 0, &[2, 2], &[2, 1]), ("v", 0, &[2], &[1])];
    let mut pickle = pickle_of(tensors, b"", false);
    let count = [b"\x8a\x08", &6i64.to_le_bytes()[..]].concat();
    let at = pickle.windows(count.len()).rposition(|bytes| bytes == count).unwrap();
    let data = [&6i64.to_le_bytes()[..], &[0; 24]].concat();
    assert!(open_bytes(&build::legacy_with(&pickle, b"](U\x010e.", &data)).is_ok());
    pickle[at + 2] = 5;
    let bytes = build::legacy_with(&pickle, b"](U\x010e.", &data);
    assert_refused(&bytes, "two tensors disagree on what storage 0 holds");
}

#[test]
fn legacy_views_of_storages_are_windows() {
    // The storage's last part: (key of the view, offset, elements).
    let window = |offset: u8, count: u8| {
        let persistent =
            [b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06(U\x011K", &[offset][..], b"K", &[count], b"ttQ"];
        let tensor =
            [b"ctorch._utils\n_rebuild_tensor\n(", &persistent.concat()[..], b"K\x00K\x02\x85K\x01\x85tR"].concat();
        let pickle = [b"\x80\x02}U\x01w", &tensor[..], b"s."].concat();
        let data: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        build::legacy_with(&pickle, b"](U\x010e.", &[&6i64.to_le_bytes()[..], &data].concat())
    };
    assert_eq!(open_bytes(&window(3, 2)).unwrap().get("w").unwrap().to_f32_vec(), [3.0, 4.0]);
    assert_refused(&window(5, 2), "its view lies outside its storage");
    assert_refused(&window(3, 1), "reaches to byte 8 of a storage of 4 bytes");
}

// anything

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = match which {
            0 => zip_file(),
            1 => zip_with(&build::zip_entries(), true),
            2 => legacy_file(),
            _ => safetensors_file(),
        };
        bend(&mut bytes, &changes, cut);
        survive(small(&bytes));
    }

    #[test]
    fn random_pickles_never_panic(opcodes in prop::collection::vec(prop::sample::select(&b"()]}.NKMa\x85\x86Rsutebd0q\x00h\x01clo\n\x93Q2U\x01w"[..]), 0..200)) {
        survive(small(&zip_of_pickle(&[&opcodes])));
    }
}
