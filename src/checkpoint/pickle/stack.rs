//! The machine's stack: places of values, and marks that close off what lies below them.

use super::Id;

#[derive(Default)]
pub(super) struct Stack {
    items: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
}

impl Stack {
    pub fn push(&mut self, id: Id) {
        self.items.push(id);
    }

    /// The topmost place above the last mark.
    pub fn top(&self) -> Result<Id, &'static str> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.items.get(floor..).and_then(<[Id]>::last).copied().ok_or("its stack is empty")
    }

    pub fn pop(&mut self) -> Result<Id, &'static str> {
        let top = self.top()?;
        self.items.pop();
        Ok(top)
    }

    pub fn mark(&mut self) {
        self.marks.push(self.items.len());
    }

    /// Takes all above the last mark, and the mark.
    pub fn pop_mark(&mut self) -> Result<Vec<Id>, &'static str> {
        let mark = self.marks.pop().ok_or("no mark is open")?;
        Ok(self.items.split_off(mark))
    }

    /// Takes the topmost place, or the mark where there is none above it.
    pub fn drop_top(&mut self) -> Result<(), &'static str> {
        if self.marks.last() == Some(&self.items.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }
}
