//! Which bytes of a run come from memory and which from the last cache, by keeping what was used last.

use pretrained::gpu::{PlannedStep, Touched};
use std::collections::{BTreeMap, HashMap};

/// Elements of an image that are kept or dropped together.
const BLOCK: usize = 1024;

/// Bytes that a step moves.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moved {
    /// In all, each once.
    pub all: f64,
    /// From and to memory.
    pub memory: f64,
}

/// What a piece of memory is a part of, and where in it.
type Place = (Owner, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Buffer(usize),
    Weights(usize),
}

#[derive(Debug)]
struct Kept {
    used: u64,
    bytes: f64,
    /// Of these, what memory does not have yet.
    written: f64,
}

#[derive(Debug)]
struct Cache {
    size: f64,
    filled: f64,
    clock: u64,
    kept: HashMap<Place, Kept>,
    by_use: BTreeMap<u64, Place>,
}

impl Cache {
    /// Uses `bytes` at `place`, and tells those that memory moves for it.
    fn touch(&mut self, place: Place, bytes: f64, writes: bool) -> f64 {
        self.clock += 1;
        let mut moved = 0.0;
        let before = self.kept.remove(&place);
        if let Some(kept) = &before {
            self.by_use.remove(&kept.used);
            self.filled -= kept.bytes;
        } else if !writes {
            moved += bytes;
        }
        let (was, written) = before.map_or((0.0, 0.0), |kept| (kept.bytes, kept.written));
        let written = if writes { bytes.max(written) } else { written };
        let kept = Kept { used: self.clock, bytes: bytes.max(was), written };
        self.filled += kept.bytes;
        self.kept.insert(place, kept);
        self.by_use.insert(self.clock, place);
        while self.filled > self.size {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            if let Some(dropped) = self.kept.remove(&oldest) {
                self.filled -= dropped.bytes;
                moved += dropped.written;
            }
        }
        moved
    }

    /// Likewise all that is `touched` of `images` images, of which the same parts go together.
    fn touch_all(&mut self, touched: &Touched, images: usize, writes: bool) -> Moved {
        let mut all = Moved::default();
        for range in &touched.elements {
            for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
                let part = range.start.max(block * BLOCK)..range.end.min((block + 1) * BLOCK);
                let bytes = (part.len() * touched.bytes * images) as f64;
                all.all += bytes;
                all.memory += self.touch((Owner::Buffer(touched.buffer), block), bytes, writes);
            }
        }
        all
    }
}

/// What each step moves in a run over `images` images that follows others like it, where the last cache has `size` bytes.
/// A batch comes to `input` before.
pub fn moved(steps: &[PlannedStep], input: &Touched, images: usize, size: f64) -> Vec<Moved> {
    let mut cache = Cache { size, filled: 0.0, clock: 0, kept: HashMap::new(), by_use: BTreeMap::new() };
    let mut run = || -> Vec<Moved> {
        cache.touch_all(input, images, true);
        let steps = steps.iter().enumerate().map(|(index, step)| {
            let constants = step.weight_bytes as f64 + (step.table * size_of::<u32>()) as f64;
            let mut sum = Moved { all: constants, memory: cache.touch((Owner::Weights(index), 0), constants, false) };
            let reads = step.reads.iter().map(|touched| (touched, false));
            for (touched, writes) in reads.chain([(&step.writes, true)]) {
                let Moved { all, memory } = cache.touch_all(touched, images, writes);
                sum.all += all;
                sum.memory += memory;
            }
            sum
        });
        steps.collect()
    };
    run();
    run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(size: f64) -> Cache {
        Cache { size, filled: 0.0, clock: 0, kept: HashMap::new(), by_use: BTreeMap::new() }
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let mut cache = cache(100.0);
        let place = |index| (Owner::Weights(index), 0);
        assert_eq!(cache.touch(place(0), 60.0, false), 60.0);
        assert_eq!(cache.touch(place(1), 40.0, false), 40.0);
        assert_eq!(cache.touch(place(0), 60.0, false), 0.0);
        assert_eq!(cache.touch(place(2), 10.0, false), 10.0);
        assert_eq!(cache.touch(place(0), 60.0, false), 0.0);
        assert_eq!(cache.touch(place(1), 40.0, false), 40.0);
    }

    #[test]
    fn what_is_written_reaches_memory_when_it_is_dropped() {
        let mut cache = cache(100.0);
        let place = |index| (Owner::Buffer(0), index);
        assert_eq!(cache.touch(place(0), 80.0, true), 0.0);
        assert_eq!(cache.touch(place(0), 80.0, true), 0.0);
        assert_eq!(cache.touch(place(1), 80.0, false), 160.0);
        assert_eq!(cache.touch(place(0), 80.0, false), 80.0);
    }

    #[test]
    fn a_part_larger_than_the_cache_is_never_kept() {
        let touched = Touched { buffer: 0, elements: std::iter::once(0..4 * BLOCK).collect(), bytes: 4 };
        let mut cache = cache(2.0 * BLOCK as f64 * 4.0);
        let all = (4 * BLOCK * 4) as f64;
        for _ in 0..2 {
            assert_eq!(cache.touch_all(&touched, 1, false), Moved { all, memory: all });
        }
    }
}
