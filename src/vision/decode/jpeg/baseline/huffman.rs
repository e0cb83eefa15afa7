//! Huffman codes (T.81, annexes C and F.2.2), looked up by the bits to come: a code and the value after it at once.

use super::data::Bits;

/// Bits by which a table is looked up.
const LOOK: u32 = 11;

/// A step over so many coefficients ends a block, wherever it begins.
pub(super) const END: usize = 128;

/// A step that leads neither to a coefficient nor to the end, from wherever, for bits that are no code.
const ASTRAY: usize = 64;

/// Coefficients of a block in the order of the file: where each belongs, and what it is multiplied by. Steps lead past the
/// end, to a place that is never read.
pub(super) struct Order {
    pub places: [u8; 256],
    pub factors: [i16; 256],
}

/// A block of coefficients, and the place for what is none.
pub(super) type Block = [i16; 65];

/// One table of codes.
pub(super) struct Table {
    /// By the next bits: an [`Entry`], or 0 where code and value are longer than that.
    short: Box<[u32; 1 << LOOK]>,
    /// By the next bits, as many symbols as they hold: the bits, the step over all of them, and the step before the last. Not
    /// for the first coefficients.
    skips: Box<[u32; 1 << LOOK]>,
    /// By length: the first code, shifted to 16 bits, that is longer.
    ends: [u32; 17],
    /// By length: what to add to a code for the index of its symbol.
    offsets: [i32; 17],
    symbols: [u8; 256],
    class: Class,
}

/// What a table's symbols mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// How many bits the difference of a first coefficient has.
    First,
    /// How many zeros come before a coefficient, and how many bits it has.
    Others,
}

/// A symbol with its value: how many bits they take, the step to the coefficient's place, and the value.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(bits: u32, step: usize, value: i16) -> Self {
        Self(bits | (step as u32) << 8 | u32::from(value.cast_unsigned()) << 16)
    }

    #[inline(always)]
    fn bits(self) -> u32 {
        self.0 & 255
    }

    #[inline(always)]
    fn step(self) -> usize {
        (self.0 >> 8 & 255) as usize
    }

    #[inline(always)]
    fn value(self) -> i16 {
        ((self.0 >> 16) as u16).cast_signed()
    }
}

impl Table {
    /// A table of `counts` codes of each length from 1 to 16 bits, with their symbols in order. None where these are no codes
    /// of 8-bit samples.
    pub fn new(counts: &[u8; 16], listed: &[u8], class: Class) -> Option<Self> {
        let mut symbols = [0; 256];
        symbols.get_mut(..listed.len())?.copy_from_slice(listed);
        if listed.iter().any(|symbol| !class.has(*symbol)) {
            return None;
        }
        let (mut ends, mut offsets) = ([0; 17], [0; 17]);
        // By the next bits: the length of a code and its symbol.
        let mut codes = [(0u8, 0u8); 1 << LOOK];
        let (mut code, mut index) = (0u32, 0usize);
        for (length, count) in (1..=16u32).zip(counts) {
            offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..*count {
                if code >= 1 << length {
                    return None;
                }
                if let Some(spare) = LOOK.checked_sub(length) {
                    let first = (code << spare) as usize;
                    codes[first..first + (1 << spare)].fill((length as u8, *listed.get(index)?));
                }
                code += 1;
                index += 1;
            }
            ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        if index != listed.len() {
            return None;
        }
        let mut table =
            Self { short: Box::new([0; 1 << LOOK]), skips: Box::new([0; 1 << LOOK]), ends, offsets, symbols, class };
        for (bits, short) in table.short.iter_mut().enumerate() {
            let (length, symbol) = codes[bits];
            let next = (bits as u64) << (64 - LOOK);
            if length > 0 && u32::from(length) + class.size(symbol) <= LOOK {
                *short = class.entry(next, length.into(), symbol).0;
            }
        }
        if class == Class::Others {
            table.fill_skips();
        }
        Some(table)
    }

    fn fill_skips(&mut self) {
        for (bits, skip) in self.skips.iter_mut().enumerate() {
            let (mut used, mut step, mut before) = (0, 0, 0);
            while step < 64 {
                let entry = Entry(self.short[bits << used & ((1 << LOOK) - 1)]);
                if entry.0 == 0 || used + entry.bits() > LOOK {
                    break;
                }
                used += entry.bits();
                before = step;
                step += entry.step() as u32;
            }
            *skip = used | step << 8 | before << 16;
        }
    }

    /// The entry of the next bits, of which there are 32.
    #[inline(always)]
    fn entry(&self, next: u64) -> Entry {
        match self.short[(next >> (64 - LOOK)) as usize] {
            0 => self.long(next),
            short => Entry(short),
        }
    }

    #[cold]
    #[inline(never)]
    fn long(&self, next: u64) -> Entry {
        let code = (next >> 48) as u32;
        let Some(length) = (1..=16).find(|length| code < self.ends[*length]) else {
            return Entry::new(16, ASTRAY, 0);
        };
        let index = (code >> (16 - length)) as i32 + self.offsets[length];
        self.class.entry(next, length as u32, self.symbols[(index & 255) as usize])
    }

    /// The value of the next symbol.
    #[inline(always)]
    pub fn value(&self, bits: &mut Bits) -> i16 {
        bits.refill();
        let entry = self.entry(bits.next());
        bits.take(entry.bits());
        entry.value()
    }

    /// Reads a block's coefficients after the first, as far as the one at `last`, and passes over the others. The step to the
    /// end, which is [`END`] where all are 0; none where the bits are no block.
    #[inline(always)]
    pub fn block(&self, bits: &mut Bits, block: &mut Block, order: &Order, last: usize) -> Option<usize> {
        // A copy stays in registers.
        let mut here = *bits;
        let mut at = 0;
        'refilled: loop {
            here.refill();
            // 56 bits hold two short symbols and a long one.
            for _ in 0..3 {
                let short = self.short[(here.next() >> (64 - LOOK)) as usize];
                let entry = if short == 0 { self.long(here.next()) } else { Entry(short) };
                here.take(entry.bits());
                at += entry.step();
                let place = usize::from(order.places[at & 255]).min(64);
                block[place] = entry.value().wrapping_mul(order.factors[at & 255]);
                if at >= last {
                    break 'refilled;
                }
                if short == 0 {
                    break;
                }
            }
        }
        *bits = here;
        if at < 63 {
            return self.skip(bits, at);
        }
        (at == 63 || at >= END).then_some(at)
    }

    /// Passes over a block's coefficients after the one at `at`. None where the bits are no block.
    #[inline(always)]
    pub fn skip(&self, bits: &mut Bits, mut at: usize) -> Option<usize> {
        let mut here = *bits;
        'refilled: loop {
            here.refill();
            for _ in 0..3 {
                let skip = self.skips[(here.next() >> (64 - LOOK)) as usize];
                let is_known = skip != 0 && at + ((skip >> 16) as usize) < 63;
                let entry = if is_known { Entry(skip & 0xffff) } else { self.entry(here.next()) };
                here.take(entry.bits());
                at += entry.step();
                if at >= 63 {
                    break 'refilled;
                }
                if !is_known {
                    break;
                }
            }
        }
        *bits = here;
        (at == 63 || at >= END).then_some(at)
    }
}

impl Class {
    /// Whether 8-bit samples need the symbol.
    fn has(self, symbol: u8) -> bool {
        match self {
            Self::First => symbol <= 11,
            Self::Others => matches!(symbol, 0 | 0xf0) || (1..=10).contains(&(symbol & 15)),
        }
    }

    /// How many bits the value after a symbol takes.
    fn size(self, symbol: u8) -> u32 {
        match self {
            Self::First => symbol.into(),
            Self::Others => (symbol & 15).into(),
        }
    }

    /// The entry of a symbol, whose code is the first `length` bits of `next`.
    fn entry(self, next: u64, length: u32, symbol: u8) -> Entry {
        let size = self.size(symbol);
        let step = match (self, symbol) {
            (Self::First, _) => 0,
            (_, 0) => END,
            (_, 0xf0) => 16,
            _ => usize::from(symbol >> 4) + 1,
        };
        Entry::new(length + size, step, value(next << length, size))
    }
}

/// The number that the first `size` bits of `next` stand for (T.81, F.2.2.1).
fn value(next: u64, size: u32) -> i16 {
    let Some(spare) = 64u32.checked_sub(size).filter(|_| size > 0) else { return 0 };
    let bits = (next >> spare) as i32;
    (if bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }) as i16
}
