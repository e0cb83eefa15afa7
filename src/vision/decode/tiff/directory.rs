//! The first directory of a TIFF (TIFF 6.0, section 2) or BigTIFF: numbers and bytes by tag.

use std::collections::BTreeMap;

use super::super::refusal::Refusal;

/// XMP; the tags up to here say how a picture is stored.
const LAST_OF_PICTURES: u16 = 700;

/// More strips or tiles than a picture within the limits has, and 32 MiB as numbers.
const MOST_NUMBERS: usize = 1 << 22;

pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    pub little: bool,
    entries: BTreeMap<u16, Entry>,
}

struct Entry {
    kind: u16,
    count: usize,
    /// Where the values begin.
    at: usize,
}

impl<'a> Directory<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let little = bytes.starts_with(b"II");
        let mut directory = Directory { bytes, little, entries: BTreeMap::new() };
        let lost = || Refusal::truncated("TIFF", "a part of its directory lies outside the file");
        directory.find_entries().ok_or_else(lost)?;
        Ok(directory)
    }

    fn find_entries(&mut self) -> Option<()> {
        let big = self.unsigned(2, 2)? == 43;
        let (at, count_size, entry_size, word) = if big { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
        let start = usize::try_from(self.unsigned(at, word)?).ok()?;
        let count = self.unsigned(start, count_size)?;
        let first = start.checked_add(count_size)?;
        for index in 0..usize::try_from(count).ok()? {
            let entry = first.checked_add(index.checked_mul(entry_size)?)?;
            let tag = self.unsigned(entry, 2)? as u16;
            let kind = self.unsigned(entry + 2, 2)? as u16;
            let count = self.unsigned(entry + 4, word)?;
            let value = entry + 4 + word;
            match self.entry(kind, count, value, word) {
                Some(entry) => {
                    self.entries.entry(tag).or_insert(entry);
                }
                // Tags of programs and cameras are not asked for.
                None if tag > LAST_OF_PICTURES => {}
                None => return None,
            }
        }
        Some(())
    }

    /// An entry whose value lies within the file: in `word` bytes at `value`, or where the number there says.
    fn entry(&self, kind: u16, count: u64, value: usize, word: usize) -> Option<Entry> {
        let count = usize::try_from(count).ok()?;
        let length = size_of(kind).checked_mul(count)?;
        let at = if length <= word { value } else { usize::try_from(self.unsigned(value, word)?).ok()? };
        (at.checked_add(length)? <= self.bytes.len()).then_some(Entry { kind, count, at })
    }

    /// The unsigned number of `size` bytes at `at`.
    fn unsigned(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }

    /// All numbers of a tag whose type is an unsigned integer.
    pub fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let entry = self.entries.get(&tag).filter(|entry| entry.count <= MOST_NUMBERS)?;
        let size = size_of(entry.kind);
        matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18).then_some(())?;
        (0..entry.count).map(|index| self.unsigned(entry.at + index * size, size)).collect()
    }

    pub fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    /// Numerators and denominators.
    pub fn rationals(&self, tag: u16) -> Option<Vec<(u64, u64)>> {
        let entry = self.entries.get(&tag).filter(|entry| entry.kind == 5)?;
        let pair = |at| Some((self.unsigned(at, 4)?, self.unsigned(at + 4, 4)?));
        (0..entry.count).map(|index| pair(entry.at + index * 8)).collect()
    }

    /// The value as it stands in the file.
    pub fn blob(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entries.get(&tag)?;
        self.bytes.get(entry.at..entry.at + entry.count * size_of(entry.kind))
    }
}

/// Bytes of a value by its type; unknown types count as bytes.
fn size_of(kind: u16) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}
