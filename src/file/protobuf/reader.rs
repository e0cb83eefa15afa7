//! Walks over protobuf messages field by field; nothing is copied, and nothing recurses.
//!
//! Decoding into structs would cost a file of empty messages a hundred times its size; here only what is kept costs.
//! Wire format: <https://protobuf.dev/programming-guides/encoding/>.

use bytes::Bytes;

/// A field's value as it lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// A varint: integers, enums, booleans.
    Number(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// A string, bytes, a message, or packed numbers.
    Bytes(Bytes),
}

impl Field {
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// The fields of a message, as tag and value; an error ends them.
pub(crate) struct Fields {
    message: Bytes,
    at: usize,
}

impl Fields {
    pub fn of(message: &Bytes) -> Self {
        Self { message: message.clone(), at: 0 }
    }

    fn next_field(&mut self) -> Result<(u32, Field), &'static str> {
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).ok().filter(|tag| *tag != 0).ok_or("a field without a number")?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Fixed64(self.array()?),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| CUT)?;
                let end = self.at.checked_add(len).filter(|&end| end <= self.message.len()).ok_or(CUT)?;
                let bytes = self.message.slice(self.at..end);
                self.at = end;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(self.array()?),
            _ => return Err("a field of a kind that it does not use"),
        };
        Ok((tag, field))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let (number, len) = varint(self.message.get(self.at..).unwrap_or_default())?;
        self.at += len;
        Ok(number)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let array = self.message.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(CUT)?;
        self.at += N;
        Ok(*array)
    }
}

const CUT: &str = "a field that goes beyond its end; was the download cut short?";

/// The varint that `bytes` begin with, and how many bytes it takes.
pub(crate) fn varint(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let mut number = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            break;
        }
        number |= bits << (7 * at);
        if byte < 0x80 {
            return Ok((number, at + 1));
        }
    }
    Err(if bytes.len() < 10 { CUT } else { "a number of more than 64 bits" })
}

impl Iterator for Fields {
    type Item = Result<(u32, Field), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.len() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.at = self.message.len();
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &'static [u8]) -> Result<Vec<(u32, Field)>, &'static str> {
        Fields::of(&Bytes::from_static(message)).collect()
    }

    #[test]
    fn every_kind_of_field() {
        let found = fields(b"\x08\x96\x01\x12\x02ab\x1d\x01\0\0\0\x21\x02\0\0\0\0\0\0\0").unwrap();
        let expected = [
            (1, Field::Number(150)),
            (2, Field::Bytes(Bytes::from_static(b"ab"))),
            (3, Field::Fixed32([1, 0, 0, 0])),
            (4, Field::Fixed64([2, 0, 0, 0, 0, 0, 0, 0])),
        ];
        assert_eq!(found, expected);
        assert_eq!(fields(b""), Ok(vec![]));
        assert_eq!(varint(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Ok((u64::MAX, 10)));
    }

    #[test]
    fn what_is_no_message() {
        for message in [&b"\x08"[..], b"\x08\x80", b"\x12\x03ab", b"\x1d\0\0\0", b"\x21\0", b"\x12\xff\xff\xff\xff\x0f"]
        {
            assert_eq!(fields(message), Err(CUT), "{message:?}");
        }
        assert_eq!(fields(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Err("a number of more than 64 bits"));
        assert_eq!(fields(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Err(CUT));
        assert!(fields(b"\0\0").is_err() && fields(b"\x0b\x0c").is_err());
        assert!(fields(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0").is_err());
    }
}
