//! Names outside the closed list: what a pickle did with each, and which are refused for it.

use super::Id;
use crate::checkpoint::source::short;
use std::collections::BTreeMap;

/// The most that was done with a name.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Named,
    /// It is the class of inert objects.
    Made,
    Called,
}

/// Every class or function outside the closed list, in the order of their places.
#[derive(Default)]
pub(super) struct Foreign(BTreeMap<Id, Use>);

impl Foreign {
    /// `id` is such a name.
    pub fn named(&mut self, id: Id) {
        self.0.insert(id, Use::Named);
    }

    /// `id`, if it is one, is the class of an object; returns whether it is one.
    pub fn made(&mut self, id: Id) -> bool {
        let used = self.0.get_mut(&id);
        used.map(|used| *used = if *used == Use::Named { Use::Made } else { *used }).is_some()
    }

    /// `id`, if it is one, would be called.
    pub fn called(&mut self, id: Id) {
        if let Some(used) = self.0.get_mut(&id) {
            *used = Use::Called;
        }
    }

    /// The names that do more than stand for a class, and those of them that were called. `name` gives module and name.
    pub fn refused<'v>(&self, name: impl Fn(Id) -> Option<(&'v str, &'v str)>) -> (Refused, Refused) {
        let (mut refused, mut called) = (Refused::default(), Refused::default());
        for (id, used) in self.0.iter().filter(|(_, used)| **used != Use::Made) {
            let Some((module, name)) = name(*id) else { continue };
            refused.add(module, name);
            if *used == Use::Called {
                called.add(module, name);
            }
        }
        (refused, called)
    }
}

/// The names that a pickle would look up and that are not in the closed list; the first few, and how many there are.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct Refused {
    names: Vec<String>,
    more: usize,
}

impl Refused {
    const SHOWN: usize = 16;

    fn add(&mut self, module: &str, name: &str) {
        let full = short(&format!("{}.{}", short(module), short(name)));
        if self.names.contains(&full) {
        } else if self.names.len() < Self::SHOWN {
            self.names.push(full);
        } else {
            self.more += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in one line.
    pub fn list(&self) -> String {
        let names = self.names.join(", ");
        if self.more > 0 { format!("{names} and {} more", self.more) } else { names }
    }
}
