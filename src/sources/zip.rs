//! The members of a zip archive, in the order of its directory.

use super::names::is_picture;
use super::sample::{MOST_BESIDE, Member};
use bytes::Bytes;
use std::fs::File;
use std::io::{BufReader, Read};
use zip::ZipArchive;
use zip::result::ZipResult;

/// The members of an archive.
pub(super) struct Members {
    archive: ZipArchive<BufReader<File>>,
    next: usize,
    /// The most that an image may take.
    limit: u64,
}

impl Members {
    pub fn new(file: File, limit: u64) -> ZipResult<Self> {
        Ok(Self { archive: ZipArchive::new(BufReader::new(file))?, next: 0, limit })
    }
}

impl Iterator for Members {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let index = self.next;
        if index >= self.archive.len() {
            return None;
        }
        self.next += 1;
        let listed = self.archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        let mut member = match self.archive.by_index(index) {
            Ok(member) => member,
            Err(error) => {
                let name = listed;
                return Some(match is_picture(&name) {
                    true => Member::Failed(name, error.to_string()),
                    false => Member::Passed,
                });
            }
        };
        let name = String::from_utf8_lossy(member.name_raw()).into_owned();
        let is_picture = is_picture(&name);
        let most = if is_picture { self.limit } else { MOST_BESIDE };
        if !member.is_file() || member.size() > most && !is_picture {
            return Some(Member::Passed);
        }
        let mut bytes = Vec::new();
        // The directory may be wrong about the size.
        let read = member.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes);
        Some(match read {
            Err(error) if is_picture => Member::Failed(name, error.to_string()),
            Ok(_) if bytes.len() as u64 > most && is_picture => {
                Member::Failed(name, format!("the file in bytes: it is over the limit of {most}"))
            }
            Ok(_) if bytes.len() as u64 <= most => Member::File(name, Bytes::from(bytes)),
            _ => Member::Passed,
        })
    }
}
