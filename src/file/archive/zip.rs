//! Zip archives: stored entries as they lie, and those that are compressed by deflate.

use crate::error::Result;
use crate::file::held::{Deflated, Held, Member};
use ::zip::read::{ArchiveOffset, Config};
use ::zip::{CompressionMethod, ZipArchive};
use bytes::Bytes;
use std::io::Cursor;

/// Adds the entries of the archive that `bytes` are. Checksums of stored entries are not compared: that would pass over
/// every byte once more.
pub(super) fn read(held: &mut Held, bytes: &Bytes) -> Result<()> {
    // Nothing is guessed: an archive begins where the file does.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(bytes.clone())).map_err(|error| {
        held.fault(format!("is a zip archive that cannot be read ({error}); was the download cut short?"))
    })?;
    if archive.has_duplicate_names() {
        return Err(held.fault("is a zip archive with two entries of one name"));
    }
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| {
            held.fault(format!("is a zip archive whose entry {index} cannot be read ({error}); it is damaged"))
        })?;
        let name = match std::str::from_utf8(entry.name_raw()) {
            Ok(name) => name.to_owned(),
            Err(_) => return Err(held.refused(&String::from_utf8_lossy(entry.name_raw()), "its name is no UTF-8")),
        };
        if entry.is_symlink() {
            return Err(held.refused(&name, "it is a link; put the file itself into the archive"));
        }
        if name.ends_with('/') {
            held.insert_folder(&name)?;
            continue;
        }
        if entry.encrypted() {
            return Err(held.refused(&name, "it is encrypted"));
        }
        let (len, packed) = (entry.size(), entry.compressed_size());
        let range = entry.data_start().and_then(|start| {
            let start = usize::try_from(start).ok()?;
            let end = start.checked_add(usize::try_from(packed).ok()?)?;
            (end <= bytes.len()).then_some(start..end)
        });
        let Some(range) = range else {
            return Err(held.refused(&name, "it does not lie within the archive, which is damaged"));
        };
        let content = bytes.slice(range);
        let member = match entry.compression() {
            CompressionMethod::Stored if len == packed => Member::Whole(content),
            CompressionMethod::Stored => {
                return Err(held.refused(&name, "its two sizes differ; the archive is damaged"));
            }
            CompressionMethod::Deflated => Member::Deflated(Deflated { packed: content, len, crc32: entry.crc32() }),
            other => {
                return Err(
                    held.refused(&name, &format!("it is compressed by {other}; pack it by deflate or not at all"))
                );
            }
        };
        held.insert(&name, member)?;
    }
    Ok(())
}
