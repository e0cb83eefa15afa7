//! Tar archives: headers of 512 bytes, each followed by a file's content in blocks of 512.
//!
//! Format: `ustar` of POSIX.1-1988, the extended headers of POSIX.1-2001 (pax), and the long names and large sizes of
//! GNU tar.

use crate::error::Result;
use crate::file::held::{Held, MOST_NAME_BYTES, Member};
use bytes::Bytes;

const BLOCK: usize = 512;

/// Whether `bytes` begin with a header, whose sum over its own bytes is right.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|header: &[u8; BLOCK]| header[0] != 0 && has_sum(header))
}

/// Adds the files of the archive that `bytes` are.
pub(super) fn read(held: &mut Held, bytes: &Bytes) -> Result<()> {
    let mut rest = bytes.clone();
    let mut extended = Extended::default();
    while !rest.is_empty() {
        let cut = || "is a tar archive that ends within a file; was the download cut short?";
        let Some(header) = rest.first_chunk::<BLOCK>().copied() else { return Err(held.fault(cut())) };
        let _ = rest.split_to(BLOCK);
        if header == [0; BLOCK] {
            break;
        }
        let size = number(&header[124..136]).filter(|_| has_sum(&header));
        let Some(size) = size else { return Err(held.fault("is a tar archive with a damaged header")) };
        let kind = header[156];
        let describes = matches!(kind, b'x' | b'g' | b'L' | b'K');
        let size = if describes { size } else { extended.size.unwrap_or(size) };
        let len = usize::try_from(size).ok().filter(|&len| len <= rest.len());
        let Some(len) = len else { return Err(held.fault(cut())) };
        let content = rest.split_to(len);
        let padding = (len.next_multiple_of(BLOCK) - len).min(rest.len());
        let _ = rest.split_to(padding);
        match kind {
            // Attributes of the next file, and its name where the header has no room for it.
            b'x' => extended.read(&content).map_err(|reason| held.fault(reason))?,
            b'L' => extended.name = Some(content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
            // The target of a link, which is refused when it comes.
            b'K' => {}
            // Of all files. Only what does not say where they are is passed over.
            b'g' => {
                let mut all = Extended::default();
                all.read(&content).map_err(|reason| held.fault(reason))?;
                if all.name.is_some() || all.size.is_some() || all.sparse {
                    return Err(held.fault("is a tar archive with one name or one size for all its files"));
                }
            }
            _ => {
                let Extended { name, sparse, .. } = std::mem::take(&mut extended);
                let name = name.unwrap_or_else(|| own_name(&header));
                let name = match String::from_utf8(name) {
                    Ok(name) => name,
                    Err(error) => {
                        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
                        return Err(held.refused(&lossy, "its name is no UTF-8"));
                    }
                };
                match kind {
                    b'0' | b'7' | 0 if sparse => return Err(held.refused(&name, "it is stored with holes (sparse)")),
                    b'0' | b'7' | 0 if !name.ends_with('/') => held.insert(&name, Member::Whole(content))?,
                    b'5' | b'0' | b'7' | 0 => held.insert_folder(&name)?,
                    b'1' | b'2' => {
                        return Err(held.refused(&name, "it is a link; put the file itself into the archive (tar -h)"));
                    }
                    b'S' => return Err(held.refused(&name, "it is stored with holes (sparse)")),
                    _ => return Err(held.refused(&name, "it is no regular file")),
                }
            }
        }
    }
    Ok(())
}

/// What comes before a header and goes before what the header says.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Extended {
    /// Takes in records of pax: `LENGTH KEY=VALUE` and a line feed, where the length is that of the whole record.
    fn read(&mut self, mut records: &[u8]) -> std::result::Result<(), &'static str> {
        const DAMAGED: &str = "is a tar archive with damaged attributes";
        while !records.is_empty() {
            let space = records.iter().take(20).position(|byte| *byte == b' ').ok_or(DAMAGED)?;
            let length = decimal(&records[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(DAMAGED)?;
            let (record, rest) = records.split_at_checked(length).ok_or(DAMAGED)?;
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(DAMAGED)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(DAMAGED)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" if value.len() <= MOST_NAME_BYTES => self.name = Some(value.to_vec()),
                b"path" => return Err("is a tar archive with a name that is too long"),
                b"size" => self.size = Some(decimal(value).ok_or(DAMAGED)?),
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = rest;
        }
        Ok(())
    }
}

/// The name in the header itself.
fn own_name(header: &[u8; BLOCK]) -> Vec<u8> {
    let text = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let name = text(&header[..100]);
    // Where GNU tar writes `ustar ` other things lie there.
    let prefix = if header[257..263] == *b"ustar\0" { text(&header[345..500]) } else { Vec::new() };
    if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
}

/// A number as headers have it: octal digits between spaces, or 8 binary bytes after a first one of 0x80.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, high @ .., _, _, _, _, _, _, _, _] = field {
        return high.iter().all(|byte| *byte == 0).then(|| field.last_chunk().map(|low| u64::from_be_bytes(*low)))?;
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    let valid = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
    if digits.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(digits).ok().filter(|_| valid).and_then(|digits| u64::from_str_radix(digits, 8).ok())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let valid = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| valid).and_then(|digits| digits.parse().ok())
}

/// Whether the header's sum is right: that of its bytes, with spaces in the place of the sum.
fn has_sum(header: &[u8; BLOCK]) -> bool {
    let sum = |at: (usize, &u8)| u64::from(if (148..156).contains(&at.0) { b' ' } else { *at.1 });
    number(&header[148..156]) == Some(header.iter().enumerate().map(sum).sum())
}
