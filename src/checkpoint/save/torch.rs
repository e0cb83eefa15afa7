//! Writes PyTorch's zip archive: `archive/data.pkl`, and one stored entry a tensor, aligned to 64 bytes.

use super::{Named, pickle};
use std::io::{self, BufWriter, Seek, Write};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// What PyTorch aligns storages to, so that they can be mapped into memory.
const ALIGNMENT: u16 = 64;

/// Writes `tensors` to `out`. The same tensors give the same bytes: entries bear no date.
pub(super) fn write(out: &mut BufWriter<std::fs::File>, tensors: &[Named]) -> io::Result<()> {
    let mut archive = ZipWriter::new(out);
    entry(&mut archive, "data.pkl", &pickle::state_dict(tensors))?;
    entry(&mut archive, ".format_version", b"1")?;
    entry(&mut archive, ".storage_alignment", ALIGNMENT.to_string().as_bytes())?;
    entry(&mut archive, "byteorder", b"little")?;
    for (key, (_, tensor)) in tensors.iter().enumerate() {
        entry(&mut archive, &format!("data/{key}"), tensor.bytes())?;
    }
    entry(&mut archive, "version", b"3\n")?;
    archive.finish()?;
    Ok(())
}

fn entry(archive: &mut ZipWriter<impl Write + Seek>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .with_alignment(ALIGNMENT)
        .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
    archive.start_file(format!("archive/{name}"), options)?;
    archive.write_all(bytes)
}
