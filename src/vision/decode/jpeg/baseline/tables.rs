//! What a scan is read by: quantisation and Huffman tables, and how often it restarts (T.81, B.2.4).

use super::huffman::{Class, Table};

/// Up to four tables of each kind.
#[derive(Default)]
pub(super) struct Tables {
    /// Factors in the order of the file.
    pub factors: [Option<[i16; 64]>; 4],
    pub first: [Option<Table>; 4],
    pub others: [Option<Table>; 4],
    /// Units between restart markers; none without markers.
    pub restart: Option<usize>,
}

impl Tables {
    /// Reads segments, which are markers' second bytes and what follows the length. None where one is damaged, or of what
    /// 8-bit samples do not have.
    pub fn read(segments: &[(u8, &[u8])]) -> Option<Self> {
        let mut tables = Self::default();
        for (marker, segment) in segments {
            match marker {
                0xc4 => tables.codes(segment)?,
                0xdb => tables.quantisation(segment)?,
                _ => {
                    let &[high, low] = *segment else { return None };
                    tables.restart = Some(u16::from_be_bytes([high, low]).into()).filter(|units| *units > 0);
                }
            }
        }
        Some(tables)
    }

    fn codes(&mut self, mut rest: &[u8]) -> Option<()> {
        while let Some((&kind, after)) = rest.split_first() {
            let (counts, after) = after.split_first_chunk::<16>()?;
            let total = counts.iter().copied().map(usize::from).sum();
            let (symbols, after) = after.split_at_checked(total)?;
            let index = usize::from(kind & 15);
            match kind >> 4 {
                0 => *self.first.get_mut(index)? = Some(Table::new(counts, symbols, Class::First)?),
                1 => *self.others.get_mut(index)? = Some(Table::new(counts, symbols, Class::Others)?),
                _ => return None,
            }
            rest = after;
        }
        Some(())
    }

    fn quantisation(&mut self, mut rest: &[u8]) -> Option<()> {
        while let Some((&kind, after)) = rest.split_first() {
            // Factors of 16 bits are for 12-bit samples.
            let (factors, after) = after.split_first_chunk::<64>()?;
            *self.factors.get_mut(usize::from(kind))? = Some(factors.map(i16::from));
            rest = after;
        }
        Some(())
    }
}
