//! Opens a checkpoint once and prints how many tensors it holds and the microseconds that it took: a process for one
//! look at a file, which `benches/open/compare.py` holds beside PyTorch's and safetensors' own readers.
//!
//! `cargo run --release --example open_checkpoint -- FILE [open|read|safetensors-map|safetensors-read]`: this crate with
//! the file mapped, or read; the safetensors crate's reader over the file mapped, or read.

use pretrained::{Error, Limits, StateDict};
use safetensors::SafeTensors;
use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "models/mnist_mlp.safetensors".into());
    let (tensors, took) = match arguments.next().as_deref().unwrap_or("open") {
        "open" => open(&path, &Limits::default())?,
        "read" => open(&path, &Limits { map_from_bytes: u64::MAX, ..Limits::default() })?,
        "safetensors-map" => {
            let began = Instant::now();
            let file = File::open(&path)?;
            // SAFETY: the benchmark's file is its own, and nobody writes to it.
            #[allow(unsafe_code)]
            let bytes = unsafe { memmap2::Mmap::map(&file)? };
            deserialize(&bytes, began)?
        }
        "safetensors-read" => {
            let began = Instant::now();
            deserialize(&std::fs::read(&path)?, began)?
        }
        other => return Err(Error::Usage(format!("{other}: expected open, read, safetensors-map or -read")).into()),
    };
    println!("{tensors} {:.1}", took.as_secs_f64() * 1e6);
    Ok(())
}

fn open(path: &str, limits: &Limits) -> Result<(usize, Duration), Error> {
    let began = Instant::now();
    let state = black_box(StateDict::open_with(path, limits)?);
    Ok((state.len(), began.elapsed()))
}

/// The crate's reader, up to a name, a shape and a slice for each tensor, which is what a state dict has.
fn deserialize(bytes: &[u8], began: Instant) -> Result<(usize, Duration), safetensors::SafeTensorError> {
    let tensors = black_box(SafeTensors::deserialize(bytes)?.tensors());
    Ok((tensors.len(), began.elapsed()))
}
