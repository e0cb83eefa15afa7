//! `pretrained verify`: reads every byte of a checkpoint and says what is wrong with it.

use crate::Outcome;
use crate::numbers::statistics;
use pretrained::{Error, Result, StateDict};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

/// What is wrong with the checkpoint at `path`.
///
/// A checkpoint that does not open is a finding; an error is what keeps it from being looked at.
pub fn verify(path: &Path) -> Result<Outcome> {
    let mut findings = Vec::new();
    let mut good = Vec::new();
    if path.is_file() {
        match checksums(path).map_err(|error| Error::io(path, error))? {
            Some((entries, wrong)) if wrong.is_empty() => good.push(format!("{entries} checksums are right")),
            Some((_, wrong)) => findings.extend(wrong),
            None => {}
        }
    }
    match StateDict::open(path) {
        Ok(state) => {
            for (name, tensor) in state.iter() {
                match statistics(tensor) {
                    Some(found) if found.nan + found.inf > 0 => findings.push(format!(
                        "{name}: {} NaN and {} infinite of {} numbers",
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
    let lines = findings.iter().map(|finding| format!("{}: {finding}\n", path.display()));
    let mut text: String = lines.collect();
    text += &match found {
        true => format!("{}: {} findings\n", path.display(), findings.len()),
        false => format!("{}: nothing is wrong: {}\n", path.display(), good.join(", ")),
    };
    Ok(Outcome { text, found })
}

/// How many entries a zip archive has, and those that do not match their checksum; `None` for any other file.
fn checksums(path: &Path) -> io::Result<Option<(usize, Vec<String>)>> {
    let mut head = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut head)?;
    if head != b"PK\x03\x04" {
        return Ok(None);
    }
    // The archive begins where the file does; the library reads it so too.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = match ZipArchive::with_config(config, BufReader::new(File::open(path)?)) {
        Ok(archive) => archive,
        Err(error) => return Ok(Some((0, vec![format!("is a zip archive that cannot be read: {error}")]))),
    };
    let mut wrong = Vec::new();
    for index in 0..archive.len() {
        let name = match archive.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => format!("number {index}"),
        };
        // The reader compares the checksum when it comes to the end.
        let read = archive.by_index(index).map_err(io::Error::from).and_then(|mut entry| {
            let declared = entry.size();
            let read = io::copy(&mut entry, &mut io::sink())?;
            if read == declared { Ok(()) } else { Err(io::Error::other(format!("{read} bytes of {declared}"))) }
        });
        if let Err(error) = read {
            wrong.push(format!("entry {name}: {error}"));
        }
    }
    Ok(Some((archive.len(), wrong)))
}
