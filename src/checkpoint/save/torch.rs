//! Writes PyTorch's zip archive: `archive/data.pkl`, and one stored entry a tensor, aligned to 64 bytes.

use super::{Named, pickle};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

/// What PyTorch aligns storages to, so that they can be mapped into memory.
const ALIGNMENT: u16 = 64;

/// Writes `tensors` to `out`. The same tensors give the same bytes: entries bear no date.
pub(super) fn write(out: &mut BufWriter<std::fs::File>, tensors: &[Named]) -> io::Result<()> {
    let mut silent = Silent { out, at: 0, end: 0, failed: None };
    let written = entries(ZipWriter::new(&mut silent), tensors);
    silent.failed.map_or(written, Err)
}

fn entries(mut archive: ZipWriter<impl Write + Seek>, tensors: &[Named]) -> io::Result<()> {
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

/// A writer that keeps its first error to itself and then pretends: a `ZipWriter` that is dropped after an error tries
/// to end its archive, and prints to standard error that it cannot.
struct Silent<'o, W> {
    out: &'o mut W,
    /// Where the next byte goes, and how many there are; after an error, where they would be.
    at: u64,
    end: u64,
    failed: Option<io::Error>,
}

impl<W> Silent<'_, W> {
    fn attempt(&mut self, does: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = does(self.out).err();
        }
    }
}

impl<W: Write> Write for Silent<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| out.write_all(bytes));
        self.at = self.at.saturating_add(bytes.len() as u64);
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(W::flush);
        Ok(())
    }
}

impl<W: Seek> Seek for Silent<'_, W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(by) => self.end.saturating_add_signed(by),
        };
        let at = SeekFrom::Start(self.at);
        self.attempt(|out| out.seek(at).map(drop));
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after so many bytes.
    struct Full(u64);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Full {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn the_archive_never_learns_of_an_error() {
        let tensor = crate::Tensor::from_f32(&[4], &[0.0; 4]).unwrap();
        for room in 0..2000 {
            let (mut disk, tensors) = (Full(room), [("w", tensor.clone())]);
            let mut silent = Silent { out: &mut disk, at: 0, end: 0, failed: None };
            assert!(entries(ZipWriter::new(&mut silent), &tensors).is_ok(), "{room}");
            let failed = silent.failed.map(|error| error.kind());
            assert!(
                failed == Some(io::ErrorKind::StorageFull) || room > 1000 && failed.is_none(),
                "{room}: {failed:?}"
            );
        }
    }
}
