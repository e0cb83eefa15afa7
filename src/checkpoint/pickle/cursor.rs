//! Walks over a pickle's bytes; every step is checked against their end.

use bytes::Bytes;

pub(super) struct Cursor<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a Bytes, at: usize) -> Self {
        Self { bytes, at }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn line(&mut self) -> Result<Bytes, &'static str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| byte == b'\n').ok_or("it ends within a line")?;
        let line = self.take(len)?;
        self.at += 1;
        Ok(line)
    }

    pub fn take(&mut self, len: usize) -> Result<Bytes, &'static str> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len()).ok_or("it ends too early")?;
        let bytes = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or("it ends too early")?;
        self.at += N;
        Ok(*bytes)
    }

    pub fn u8(&mut self) -> Result<u8, &'static str> {
        self.array().map(|[byte]| byte)
    }

    pub fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn u32_len(&mut self) -> Result<usize, &'static str> {
        let len = u32::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| "a length beyond this machine")
    }

    pub fn u64_len(&mut self) -> Result<usize, &'static str> {
        let len = self.u64()?;
        usize::try_from(len).map_err(|_| "a length beyond this machine")
    }
}
