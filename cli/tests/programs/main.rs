//! `predict` and `pretrained`, run as a user runs them.

#[path = "../../../tests/common/mod.rs"]
mod common;
mod folders;
mod generated;
mod names;
mod networks;
mod program;
mod sources;
mod streams;
mod toolbox;
mod usage;
#[cfg(windows)]
mod windows;
