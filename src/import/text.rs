//! Text of the file in messages.

use crate::printable;

/// Text of the file as a message may quote it.
pub fn short(text: &str) -> String {
    printable::cut(text, 120).into_owned()
}
