//! Pictures on their way to a network, and labels on the way back.

#[path = "../common/mod.rs"]
mod common;
mod images;
mod jpegs;
mod preparation;
