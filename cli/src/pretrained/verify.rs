//! `pretrained verify`: reads every byte of a checkpoint and says what is wrong with it.

use crate::Outcome;
use crate::numbers::statistics;
use pretrained::{Error, Limits, Result, StateDict, printable};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

/// What is wrong with the checkpoint at `path`.
///
/// A checkpoint that does not open is a finding; an error is what keeps it from being looked at.
pub fn verify(path: &Path) -> Result<Outcome> {
    // Not mapped, so that every byte is read, and one that the disk does not give is an error.
    let opened = crate::open(path, &Limits { map_from_bytes: u64::MAX, ..Limits::default() });
    // Of a folder of checkpoints, the one that was taken.
    let file = opened.as_ref().ok().and_then(StateDict::path).unwrap_or(path).to_owned();
    let mut findings = Vec::new();
    let mut good = Vec::new();
    if file.is_file()
        && let Some(checked) = checksums(&file).map_err(|error| Error::io(&file, error))?
    {
        if checked.wrong.is_empty() {
            good.push(format!("{} checksums are right", checked.entries - checked.without));
        }
        if checked.without > 0 {
            good.push(format!("{} entries have none", checked.without));
        }
        findings.extend(checked.wrong);
    }
    match opened {
        Ok(state) => {
            let optimizer = state.optimizer().iter().map(|(name, tensor)| (format!("optimizer {name}"), tensor));
            for (name, tensor) in state.iter().map(|(name, tensor)| (name.to_owned(), tensor)).chain(optimizer) {
                match statistics(tensor) {
                    Some(found) if found.nan + found.inf > 0 => findings.push(format!(
                        "{}: {} NaN and {} infinite of {} numbers",
                        printable::cut(&name, 200),
                        found.nan,
                        found.inf,
                        tensor.element_count()
                    )),
                    _ => {}
                }
            }
            good.push(format!("{} tensors read", state.len()));
        }
        Err(Error::Checkpoint { reason, .. }) => findings.push(format!("does not open: {reason}")),
        Err(error) => return Err(error),
    }
    let found = !findings.is_empty();
    let path = printable::path(path);
    let lines = findings.iter().map(|finding| format!("{path}: {}\n", printable::lines(finding)));
    let mut text: String = lines.collect();
    text += &match (findings.len(), good.join(", ")) {
        (0, good) => format!("{path}: nothing is wrong: {good}\n"),
        (1, _) => format!("{path}: 1 finding\n"),
        (n, _) => format!("{path}: {n} findings\n"),
    };
    Ok(Outcome { text, found })
}

/// What became of a zip archive's checksums.
struct Checked {
    entries: usize,
    /// Entries that bear none: `torch.serialization.set_crc32_options(False)` leaves 0 in their place.
    without: usize,
    /// What does not match, in words.
    wrong: Vec<String>,
}

/// Compares the checksums of the zip archive at `path`; `None` for any other file.
fn checksums(path: &Path) -> io::Result<Option<Checked>> {
    let mut head = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut head)?;
    if head != b"PK\x03\x04" {
        return Ok(None);
    }
    // The archive begins where the file does; the library reads it so too.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = match ZipArchive::with_config(config, BufReader::new(File::open(path)?)) {
        Ok(archive) => archive,
        Err(error) => {
            let wrong = vec![format!("is a zip archive that cannot be read: {error}")];
            return Ok(Some(Checked { entries: 0, without: 0, wrong }));
        }
    };
    let mut checked = Checked { entries: archive.len(), without: 0, wrong: Vec::new() };
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => format!("number {index}"),
        };
        match archive.by_index_raw(index) {
            Ok(entry) if entry.crc32() == 0 && entry.size() > 0 => {
                checked.without += 1;
                continue;
            }
            _ => {}
        }
        // The reader compares the checksum when it comes to the end.
        let read = archive.by_index(index).map_err(io::Error::from).and_then(|mut entry| {
            let declared = entry.size();
            let read = io::copy(&mut entry, &mut io::sink())?;
            if read == declared { Ok(()) } else { Err(io::Error::other(format!("{read} bytes of {declared}"))) }
        });
        if let Err(error) = read {
            checked.wrong.push(format!("entry {}: {error}", printable::cut(&name, 200)));
        }
    }
    Ok(Some(checked))
}
