//! Whole networks against numbers that other frameworks computed.

#[path = "../common/mod.rs"]
mod common;
mod goldens;
mod photos;
mod shipped;
