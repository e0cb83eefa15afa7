//! The weights that programs have in memory, each program's in one place, and those of the same network once.

use super::gathered::Gathered;
use super::line::Line;
use super::memory::Numbers;
use memmap2::MmapMut;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes from which numbers are gathered: less than a huge page gains nothing.
const LARGE: usize = 2 << 20;

/// What the programs of a device have gathered, as long as they live.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Vec<Weak<Gathered>>>);

impl Shelf {
    /// Moves numbers to one place, in this order, where they are many. Those that another program has at the same place of
    /// its own order are shared with it.
    pub fn gather(&self, mut all: Vec<&mut Numbers>) {
        let others = self.alive();
        for (index, numbers) in all.iter_mut().enumerate() {
            let found = others.iter().find_map(|other| Some((other, other.place_of(index, numbers.lines())?)));
            if let Some((other, place)) = found {
                numbers.lie_in(other, place);
            }
        }
        let mut end = 0;
        let place = |numbers: &&mut Numbers| {
            let begin = end;
            end += if numbers.is_gathered() { 0 } else { numbers.lines().len() };
            begin..end
        };
        let places: Vec<Range<usize>> = all.iter().map(place).collect();
        let Some(mut pages) = pages(end * size_of::<Line>()) else { return };
        let lines: &mut [Line] = bytemuck::cast_slice_mut(&mut pages);
        for (numbers, place) in all.iter_mut().zip(&places).filter(|(_, place)| !place.is_empty()) {
            lines[place.clone()].copy_from_slice(numbers.lines());
            // One after the other, so that there are never two of all.
            numbers.forget();
        }
        let gathered = Arc::new(Gathered { pages, places });
        for (numbers, place) in all.iter_mut().zip(&gathered.places).filter(|(_, place)| !place.is_empty()) {
            numbers.lie_in(&gathered, place.clone());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&gathered));
    }

    /// What is still there.
    fn alive(&self) -> Vec<Arc<Gathered>> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.retain(|gathered| gathered.strong_count() > 0);
        shelf.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Memory for so many bytes, in huge pages if the system has them: a core knows the places of only so many pages at once,
/// and does not fetch ahead from one that it does not know. None for few.
fn pages(bytes: usize) -> Option<MmapMut> {
    if bytes < LARGE {
        return None;
    }
    let pages = MmapMut::map_anon(bytes.next_multiple_of(LARGE)).ok()?;
    #[cfg(target_os = "linux")]
    pages.advise(memmap2::Advice::HugePage).ok()?;
    Some(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of a program: those of a layer that is as large as what is gathered at least, and a bias.
    fn program(weight: f32, bias: f32) -> [Numbers; 2] {
        [vec![weight; LARGE / 4], vec![bias; 5]].map(|values| Numbers::new(&values).unwrap())
    }

    fn gathered(shelf: &Shelf, mut program: [Numbers; 2]) -> [Numbers; 2] {
        shelf.gather(program.iter_mut().collect());
        program
    }

    fn places(program: &[Numbers; 2]) -> [*const f32; 2] {
        program.each_ref().map(Numbers::as_ptr)
    }

    #[test]
    fn programs_of_one_network_have_its_weights_once() {
        let shelf = Shelf::default();
        let first = gathered(&shelf, program(0.5, 1.0));
        let second = gathered(&shelf, program(0.5, 1.0));
        assert_eq!(places(&first), places(&second));
        // What is another number is another program's own.
        let third = gathered(&shelf, program(0.5, 2.0));
        assert_eq!(places(&first)[0], places(&third)[0]);
        assert_ne!(places(&first)[1], places(&third)[1]);
        let other = gathered(&shelf, program(0.25, 1.0));
        assert_ne!(places(&first)[0], places(&other)[0]);
        assert_eq!(places(&first)[1], places(&other)[1]);
        drop(first);
        assert_eq!(second[0].lines()[7], Line([0.5; 16]));
        assert_eq!(second[1].lines()[0].0[..6], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn weights_go_with_the_last_program_that_has_them() {
        let shelf = Shelf::default();
        let first = gathered(&shelf, program(0.5, 1.0));
        let second = gathered(&shelf, program(0.5, 1.0));
        drop(first);
        assert_eq!(shelf.alive().len(), 1);
        drop(second);
        assert!(shelf.alive().is_empty());
    }
}
