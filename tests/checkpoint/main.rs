//! Checkpoints of every format: in folders, archives, memory and on servers; written, and read back.

#[path = "../build/mod.rs"]
mod build;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod folders;
mod formats;
mod hub;
mod other_frameworks;
mod runs;
mod save;
mod torch_files;
