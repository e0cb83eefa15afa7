//! A scan's entropy-coded data without its stuffing and its restart markers, as bits.

/// Zeros after each interval, so that eight bytes can be read wherever a sound interval ends.
const PADDING: usize = 16;

/// The data of one scan, divided at its restart markers.
pub(super) struct Data {
    bytes: Vec<u8>,
    /// Where each interval begins and ends.
    intervals: Vec<(usize, usize)>,
}

impl Data {
    /// Reads `source` up to the end-of-image marker. None where anything but restart markers in their order comes before it.
    pub fn read(source: &[u8]) -> Option<Self> {
        let mut bytes = Vec::with_capacity(source.len() + PADDING);
        let mut intervals = Vec::new();
        let (mut rest, mut begun) = (source, 0);
        loop {
            let at = memchr::memchr(0xff, rest)?;
            let marker = *rest.get(at + 1)?;
            match marker {
                0x00 => bytes.extend_from_slice(&rest[..=at]),
                0xd9 | 0xd0..=0xd7 => {
                    bytes.extend_from_slice(&rest[..at]);
                    intervals.push((begun, bytes.len()));
                    bytes.extend_from_slice(&[0; PADDING]);
                    begun = bytes.len();
                    if marker == 0xd9 {
                        return Some(Self { bytes, intervals });
                    }
                    if usize::from(marker & 7) != (intervals.len() - 1) % 8 {
                        return None;
                    }
                }
                _ => return None,
            }
            rest = &rest[at + 2..];
        }
    }

    pub fn intervals(&self) -> usize {
        self.intervals.len()
    }

    /// The bits of an interval, or none where there are not as many intervals.
    pub fn interval(&self, index: usize) -> Option<Bits<'_>> {
        let (start, end) = *self.intervals.get(index)?;
        Some(Bits { data: &self.bytes[start..], end: end - start, at: 0, next: 0, count: 0 })
    }
}

/// Bits, from the most significant one of each byte on. They go on for ever: [`is_spent`](Self::is_spent) tells whether an
/// interval had as many as were taken.
#[derive(Clone, Copy)]
pub(super) struct Bits<'d> {
    data: &'d [u8],
    end: usize,
    at: usize,
    /// The next bits, at the top. At least `count` of them are the data's.
    next: u64,
    count: u32,
}

impl Bits<'_> {
    /// Brings the next bits to 56 or more.
    #[inline(always)]
    pub fn refill(&mut self) {
        match self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => {
                self.next |= u64::from_be_bytes(*bytes) >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
            }
            // Zeros, far past the end of any interval.
            None => self.at = self.data.len() + PADDING,
        }
        self.count |= 56;
    }

    /// The next bits, of which those that were there when it was [refilled](Self::refill) count.
    #[inline(always)]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes up to 31 bits.
    #[inline(always)]
    pub fn take(&mut self, bits: u32) {
        self.next <<= bits & 63;
        self.count = self.count.wrapping_sub(bits) & 63;
    }

    /// Whether the interval ended with the bits that were taken, but for those that fill up its last byte.
    pub fn is_spent(&self) -> bool {
        (0..8).contains(&self.left())
    }

    /// Whether more bits were taken than the interval has.
    pub fn is_overdrawn(&self) -> bool {
        self.left() < 0
    }

    fn left(&self) -> i64 {
        (self.end as i64 - self.at as i64) * 8 + i64::from(self.count)
    }
}
