//! What is to be one buffer, range after range.

/// Bytes of the largest of what shaders declare an array to be of: two matrices of weights.
pub(super) const LARGEST: usize = 128;

/// Bytes of a buffer.
pub(super) type Range = std::ops::Range<usize>;

/// What is to be one buffer, as it grows.
pub(super) struct Content {
    pub bytes: Vec<u8>,
    pub ranges: Vec<Range>,
    alignment: usize,
}

impl Content {
    /// Nothing yet; ranges begin at multiples of `alignment`.
    pub fn new(alignment: usize) -> Self {
        Self { bytes: Vec::new(), ranges: Vec::new(), alignment }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        // A binding may not be empty, nor end within what a shader declares as one.
        self.bytes.resize(self.bytes.len().max(start + 1).next_multiple_of(LARGEST), 0);
        self.ranges.push(start..self.bytes.len());
        self.bytes.resize(self.bytes.len().next_multiple_of(self.alignment), 0);
    }

    pub fn of(&self, range: &Range) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Leaves out the ranges that are not to be kept, and tells where the others lie then.
    pub fn keep(&mut self, is_kept: impl Fn(usize) -> bool) -> Vec<Option<Range>> {
        let mut end = 0;
        let ends = self.ranges.iter().skip(1).map(|next| next.start).chain([self.bytes.len()]);
        let keep = |(index, (range, next)): (usize, (&Range, usize))| {
            is_kept(index).then(|| {
                let start = end;
                end += next - range.start;
                (range.start..next, start..start + range.len())
            })
        };
        let kept: Vec<Option<(Range, Range)>> = self.ranges.iter().zip(ends).enumerate().map(keep).collect();
        kept.iter().flatten().for_each(|(from, to)| self.bytes.copy_within(from.clone(), to.start));
        self.bytes.truncate(end);
        kept.into_iter().map(|kept| kept.map(|(_, to)| to)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_closed_up() {
        let mut content = Content::new(256);
        (1..=4u8).for_each(|value| content.push(&vec![value; 100 * usize::from(value)]));
        let values = |content: &Content, ranges: &[Option<Range>]| -> Vec<Option<Vec<u8>>> {
            ranges.iter().map(|range| range.as_ref().map(|range| content.of(range).to_vec())).collect()
        };
        let before: Vec<_> = content.ranges.iter().map(|range| Some(content.of(range).to_vec())).collect();
        let ranges = content.keep(|_| true);
        assert_eq!(values(&content, &ranges), before);
        let ranges = content.keep(|index| index % 2 == 1);
        let expected = [None, before[1].clone(), None, before[3].clone()];
        assert_eq!(values(&content, &ranges), expected);
        assert!(ranges.iter().flatten().all(|range| range.start % 256 == 0));
        assert_eq!(content.bytes.len(), 256 + 512);
    }
}
