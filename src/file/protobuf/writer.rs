//! Builds protobuf messages, in which large data stays where it is until it is written; `reader.rs` reads them.

use std::borrow::Cow;
use std::io::{self, Write};

/// A message under construction: its fields in the order in which they are added, each by its tag.
#[derive(Default)]
pub(crate) struct Message<'a> {
    pieces: Vec<Piece<'a>>,
    len: u64,
}

enum Piece<'a> {
    Small(Vec<u8>),
    Large(&'a [u8]),
    /// Little-endian in the file.
    Floats(Cow<'a, [f32]>),
}

/// The wire types that are written.
const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl<'a> Message<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes it takes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// An integer, an enum or a boolean.
    pub fn number(mut self, tag: u32, number: i64) -> Self {
        self.key(tag, VARINT);
        self.varint(number.cast_unsigned());
        self
    }

    /// A size, as an integer.
    pub fn size(self, tag: u32, size: usize) -> Self {
        self.number(tag, size as i64)
    }

    pub fn float(mut self, tag: u32, number: f32) -> Self {
        self.key(tag, FIXED32);
        self.small(&number.to_le_bytes());
        self
    }

    pub fn text(mut self, tag: u32, text: &str) -> Self {
        self.key(tag, BYTES);
        self.varint(text.len() as u64);
        self.small(text.as_bytes());
        self
    }

    /// Bytes that are copied only to where they are written.
    pub fn slice(mut self, tag: u32, bytes: &'a [u8]) -> Self {
        self.key(tag, BYTES);
        self.varint(bytes.len() as u64);
        self.len += bytes.len() as u64;
        self.pieces.push(Piece::Large(bytes));
        self
    }

    /// The little-endian bytes of numbers, likewise.
    pub fn floats(mut self, tag: u32, numbers: Cow<'a, [f32]>) -> Self {
        let bytes = numbers.len() as u64 * 4;
        self.key(tag, BYTES);
        self.varint(bytes);
        self.len += bytes;
        self.pieces.push(Piece::Floats(numbers));
        self
    }

    pub fn message(mut self, tag: u32, message: Message<'a>) -> Self {
        self.key(tag, BYTES);
        self.varint(message.len);
        self.len += message.len;
        let mut pieces = message.pieces.into_iter();
        // Nodes are many and small, and need no piece each.
        if let Some(Piece::Small(last)) = self.pieces.last_mut() {
            match pieces.next() {
                Some(Piece::Small(first)) => last.extend_from_slice(&first),
                first => self.pieces.extend(first),
            }
        }
        self.pieces.extend(pieces);
        self
    }

    pub fn messages(self, tag: u32, messages: impl IntoIterator<Item = Message<'a>>) -> Self {
        messages.into_iter().fold(self, |message, inner| message.message(tag, inner))
    }

    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        const AT_ONCE: usize = 1 << 14;
        let mut buffer = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Small(bytes) => out.write_all(bytes)?,
                Piece::Large(bytes) => out.write_all(bytes)?,
                Piece::Floats(numbers) => {
                    for numbers in numbers.chunks(AT_ONCE) {
                        buffer.clear();
                        buffer.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                        out.write_all(&buffer)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn key(&mut self, tag: u32, wire: u64) {
        self.varint(u64::from(tag) << 3 | wire);
    }

    fn varint(&mut self, mut number: u64) {
        let mut bytes = [0; 10];
        let mut len = 0;
        loop {
            let last = number < 0x80;
            bytes[len] = number as u8 & 0x7f | if last { 0 } else { 0x80 };
            len += 1;
            number >>= 7;
            if last {
                break;
            }
        }
        self.small(&bytes[..len]);
    }

    fn small(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        match self.pieces.last_mut() {
            Some(Piece::Small(small)) => small.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Small(bytes.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Field, Fields};
    use super::*;
    use bytes::Bytes;

    fn bytes(message: &Message) -> Bytes {
        let mut out = Vec::new();
        message.write(&mut out).unwrap();
        assert_eq!(out.len() as u64, message.len());
        out.into()
    }

    #[test]
    fn what_is_written_is_read() {
        let large = [7u8; 300];
        let inner =
            || Message::new().text(1, "name").slice(2, &large).floats(3, Cow::Owned(vec![1.0, -2.5])).text(4, "");
        let message =
            Message::new().number(1, -1).size(200, 1 << 40).float(3, 0.5).message(15, inner()).message(16, inner());
        let read: Vec<_> = Fields::of(&bytes(&message)).map(Result::unwrap).collect();
        let inner = bytes(&inner());
        let expected = [
            (1, Field::Number(u64::MAX)),
            (200, Field::Number(1 << 40)),
            (3, Field::Fixed32(0.5f32.to_le_bytes())),
            (15, Field::Bytes(inner.clone())),
            (16, Field::Bytes(inner.clone())),
        ];
        assert_eq!(read, expected);
        let floats = [1f32, -2.5].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let inner: Vec<_> = Fields::of(&inner).map(Result::unwrap).collect();
        let field = |bytes: &[u8]| Field::Bytes(Bytes::copy_from_slice(bytes));
        assert_eq!(inner, [(1, field(b"name")), (2, field(&large)), (3, field(&floats)), (4, field(b""))]);
    }

    #[test]
    fn a_message_in_an_empty_one_and_an_empty_one_in_it() {
        let message = Message::new().messages(1, [Message::new(), Message::new().messages(2, [Message::new()])]);
        assert_eq!(&bytes(&message)[..], b"\x0a\0\x0a\x02\x12\0");
    }
}
