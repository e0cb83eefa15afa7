//! What devices run: plans, shaders, and every operator.

#[path = "../common/mod.rs"]
mod common;
mod operators;
mod plan;
mod shaders;
