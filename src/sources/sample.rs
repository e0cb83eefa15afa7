//! Neighbours in an archive that belong together, as WebDataset has it: those whose names are one up to the first dot.

use super::item::Item;
use super::names::is_picture;
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Members that one sample may have; those after them make a new one.
const MOST: usize = 64;

/// The largest member that is kept beside an image, in bytes.
pub(super) const MOST_BESIDE: u64 = 1 << 20;

/// A member of an archive, or what became of it.
pub(super) enum Member {
    /// Its name within the archive, and its content.
    File(String, Bytes),
    /// One that cannot be had, and why.
    Failed(String, String),
    /// One that was passed over.
    Passed,
}

/// Turns the members of an archive into images, with what stands beside them.
pub(super) struct Samples<I> {
    archive: PathBuf,
    members: I,
    /// The sample that is being gathered: its key, the images, and what stands beside them.
    key: String,
    images: Vec<(String, Bytes)>,
    beside: Vec<(String, Bytes)>,
    ready: VecDeque<Item>,
    found: bool,
    is_over: bool,
}

impl<I: Iterator<Item = Member>> Samples<I> {
    pub fn new(archive: &Path, members: I) -> Self {
        Self {
            archive: archive.to_owned(),
            members,
            key: String::new(),
            images: Vec::new(),
            beside: Vec::new(),
            ready: VecDeque::new(),
            found: false,
            is_over: false,
        }
    }

    /// What a member is called outside of the archive.
    fn name(&self, member: &str) -> PathBuf {
        let mut name = self.archive.as_os_str().to_owned();
        name.push("/");
        name.push(member.trim_start_matches('/'));
        name.into()
    }

    /// Gives out the sample that was gathered.
    fn close(&mut self) {
        let beside = std::mem::take(&mut self.beside);
        for (name, bytes) in std::mem::take(&mut self.images) {
            let item = Item::bytes(self.name(&name), bytes).with(beside.clone());
            self.ready.push_back(item);
        }
    }

    fn take(&mut self, name: String, bytes: Bytes) {
        let (key, extension) = divided(&name);
        if key != self.key || self.images.len() + self.beside.len() >= MOST {
            self.close();
            key.clone_into(&mut self.key);
        }
        match is_picture(&name) {
            true => self.images.push((name, bytes)),
            false => self.beside.push((extension.to_owned(), bytes)),
        }
    }
}

impl<I: Iterator<Item = Member>> Iterator for Samples<I> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                self.found = true;
                return Some(item);
            }
            if self.is_over {
                return None;
            }
            match self.members.next() {
                Some(Member::File(name, bytes)) => self.take(name, bytes),
                Some(Member::Failed(name, reason)) => {
                    self.close();
                    let name = if name.is_empty() { self.archive.clone() } else { self.name(&name) };
                    self.ready.push_back(Item::nothing(name, reason));
                }
                Some(Member::Passed) => {}
                None => {
                    self.close();
                    self.is_over = true;
                    if !self.found && self.ready.is_empty() {
                        self.ready.push_back(Item::nothing(self.archive.clone(), "holds no image file"));
                    }
                }
            }
        }
    }
}

/// A member's name up to the first dot of its last part, and what comes after that dot.
fn divided(name: &str) -> (&str, &str) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find('.') {
        Some(dot) => (&name[..last + dot], &name[last + dot + 1..]),
        None => (name, ""),
    }
}
