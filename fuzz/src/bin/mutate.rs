//! Changes files at random and takes each through what both binaries do with a file: it is decoded as a picture, and opened
//! as a checkpoint, recognised, compiled, run on the CPU and exported. Fails on a crash, a hang, and on much memory.
//!
//!     cargo run --release --manifest-path fuzz/Cargo.toml --bin mutate -- COUNT FIRST FOLDER...
//!
//! Runs the numbers FIRST to FIRST + COUNT - 1, each of which always gives the same change of the same file. An input that
//! fails is written to the working directory as `failed-NUMBER`.

use peak_alloc::PeakAlloc;
use pretrained::vision::{self, Overrides, Preset};
use pretrained::{Device, ExportFormat, ExportOptions, Limits, Model, Session, SessionOptions, StateDict, Strictness};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

// The library of the targets has an allocator that counts, and is linked for it.
use pretrained_fuzz as _;

/// Larger files would be copied more than read.
const MOST_BYTES: u64 = 1 << 20;

/// How long one input may take, in a release build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one input may take beside the file.
const MOST_HEAP: usize = 600 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, first, folders @ ..] = arguments.as_slice() else {
        eprintln!("mutate COUNT FIRST FOLDER...");
        exit(2);
    };
    let (Ok(count), Ok(first)) = (count.parse::<u64>(), first.parse::<u64>()) else {
        eprintln!("COUNT and FIRST are whole numbers");
        exit(2);
    };
    let mut files = Vec::new();
    folders.iter().for_each(|folder| walk(Path::new(folder), &mut files));
    files.sort();
    if files.is_empty() {
        eprintln!("there is no file of at most {MOST_BYTES} bytes");
        exit(2);
    }
    let files: Vec<Vec<u8>> = files.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    println!("{} files", files.len());

    let current: Arc<Mutex<Option<(u64, Instant)>>> = Arc::default();
    watch(current.clone());
    let device = Device::cpu();
    let mut reached = Reached::default();
    for number in first..first.saturating_add(count) {
        let input = mutated(&files, number);
        *current.lock().expect("no thread panics with it") = Some((number, Instant::now()));
        ALLOCATED.reset_peak_usage();
        let before = ALLOCATED.current_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| both(&device, &input, &mut reached)));
        let taken = ALLOCATED.peak_usage().saturating_sub(before);
        *current.lock().expect("no thread panics with it") = None;
        if outcome.is_err() || taken > MOST_HEAP {
            let name = format!("failed-{number}");
            println!("{name}: {}", if outcome.is_err() { "a panic".into() } else { format!("{taken} bytes of memory") });
            let _ = std::fs::write(name, &input);
            reached.failed += 1;
        }
        if (number + 1 - first).is_multiple_of(10_000) {
            println!("{}: {reached:?}", number + 1 - first);
        }
    }
    println!("{reached:?}");
    exit(i32::from(reached.failed > 0));
}

/// Another name for the allocator that the library of the targets installs; its counters are the process's.
static ALLOCATED: PeakAlloc = PeakAlloc;

/// How many inputs got how far.
#[derive(Debug, Default)]
struct Reached {
    decoded: u64,
    opened: u64,
    recognised: u64,
    ran: u64,
    exported: u64,
    failed: u64,
}

/// Both ways through.
fn both(device: &Device, input: &[u8], reached: &mut Reached) {
    if let Ok(image) = vision::decode("input", input, &vision::Limits::default()) {
        reached.decoded += 1;
        if let Ok(preprocess) = Overrides::default().apply(Preset::Torchvision.preprocess()) {
            let _ = preprocess.apply(&image);
        }
    }
    let limits = Limits { expanded_bytes: 64 << 20, ..Limits::default() };
    let Ok(state) = StateDict::from_bytes("input", input.to_vec(), &limits) else { return };
    reached.opened += 1;
    let _ = format!("{:?} {:?}", state.metadata(), state.notes());
    for (_, tensor) in state.iter().filter(|(_, tensor)| tensor.element_count() < 1 << 16) {
        assert_eq!(tensor.to_f32_vec().len(), tensor.element_count());
    }
    let Ok(model) = Model::from_state_dict(&state, Strictness::AllowUnexpected) else { return };
    reached.recognised += 1;
    let input = model.network().input;
    if let Ok(session) = Session::new(device, &model, input, &SessionOptions::default()) {
        let batch: Vec<f32> = (0..input.elements()).map(|i| (i % 7) as f32 - 3.0).collect();
        reached.ran += u64::from(session.run(&batch).is_ok());
    }
    let folder = Path::new("/dev/shm");
    let folder = if folder.is_dir() { tempfile::tempdir_in(folder) } else { tempfile::tempdir() };
    let Ok(folder) = folder else { return };
    let options = ExportOptions { format: ExportFormat::Onnx, ..ExportOptions::default() };
    reached.exported += u64::from(model.export(folder.path().join("model.onnx"), &options).is_ok());
}

/// Ends the process where one input takes too long.
fn watch(current: Arc<Mutex<Option<(u64, Instant)>>>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            if let Some((number, since)) = *current.lock().expect("no thread panics with it")
                && since.elapsed() > PATIENCE
            {
                println!("number {number} takes more than {} s", PATIENCE.as_secs());
                exit(1);
            }
        }
    });
}

/// The files of at most [`MOST_BYTES`] in a folder and those in it.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(found) if found.is_dir() => walk(&path, files),
            Ok(found) if found.is_file() && (1..=MOST_BYTES).contains(&found.len()) => files.push(path),
            _ => {}
        }
    }
}

/// One of `files`, changed in one to eight places.
fn mutated(files: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D);
    let mut bytes = files[random.below(files.len())].clone();
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            break;
        }
        // Headers are at the beginning, of many formats also at the end.
        let at = match random.below(4) {
            0 => random.below(bytes.len()),
            1 => bytes.len() - 1 - random.below(bytes.len().min(256)),
            _ => random.below(bytes.len().min(512)),
        };
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)],
            3 => {
                // A size, in either order of bytes.
                let value = [0, 1, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, random.next() as u32][random.below(7)];
                let value = if random.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
                bytes.iter_mut().skip(at).zip(value).for_each(|(byte, new)| *byte = new);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..(at + 1 + random.below(32)).min(bytes.len()))),
            6 => {
                let repeated = bytes[at..(at + 1 + random.below(32)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, repeated));
            }
            7 => {
                let other = &files[random.below(files.len())];
                let from = random.below(other.len());
                let part = &other[from..(from + 1 + random.below(64)).min(other.len())];
                bytes.iter_mut().skip(at).zip(part).for_each(|(byte, new)| *byte = *new);
            }
            _ => {
                // A digit of a text.
                if let Some(digit) = bytes.iter_mut().skip(at).find(|byte| byte.is_ascii_digit()) {
                    *digit = b'0' + random.below(10) as u8;
                }
            }
        }
    }
    bytes
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
