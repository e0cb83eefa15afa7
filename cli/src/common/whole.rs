//! Whole numbers of the command line, and what is said where there is none.

use std::num::NonZeroUsize;

pub fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a whole number of at least 1 is expected".to_owned())
}
