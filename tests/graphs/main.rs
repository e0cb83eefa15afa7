//! Models of other frameworks: their graphs imported, and networks exported as such and read back.

#[path = "../common/mod.rs"]
mod common;
mod export;
mod import;
