//! The room for constants that are computed, so that no small file becomes a large one.

/// How many bytes may still be taken.
#[derive(Debug)]
pub struct Memory {
    bytes: u64,
}

impl Memory {
    /// For a file with so many bytes of tensors: as much again, twice, and what exporters' arithmetic takes.
    pub fn beside(tensor_bytes: u64) -> Self {
        Self { bytes: tensor_bytes.saturating_mul(2).saturating_add(16 << 20) }
    }

    /// Asks for `bytes`.
    pub fn take(&mut self, bytes: usize) -> Result<(), String> {
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(format!("it makes {bytes} more bytes of constants, more than the file's tensors warrant")),
        }
    }
}
