//! Named pretrained weights: found in torch's cache or in this crate's own, else downloaded, verified and kept.

mod download;
mod environment;
mod fetch;
mod pace;
mod published;
mod torchvision;

pub use torchvision::{TORCHVISION, find};

use std::path::PathBuf;
use std::time::Duration;

/// One published file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights<'a> {
    /// The network's name, as torchvision spells it: `shufflenetv2_x1_0`.
    pub model: &'a str,
    /// The name that the file bears in every cache; never taken from the server.
    pub file: &'a str,
    /// Where the file is published.
    pub url: &'a str,
    /// The first digits of the file's SHA-256, in hexadecimal: at least 8, at most all 64.
    pub sha256: &'a str,
}

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk, those of an earlier, interrupted download included.
    pub received: u64,
    /// Bytes of the whole file, where the server tells.
    pub total: Option<u64>,
}

/// A verified file of weights on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it lies.
    pub path: PathBuf,
    /// A sentence for each file that bears the right name but was passed over or replaced, and why.
    pub notes: Vec<String>,
}

/// Where weights are looked for, and how they are downloaded.
///
/// Several threads and processes may fetch the same file at once: while one downloads, it holds a lock on
/// `<file>.lock` in the cache folder, the others wait for it and then find the file. The empty lock files stay, as
/// removing one would let two processes hold different files of the same name.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Torch's folder of checkpoints. It is looked into first and never written to.
    pub torch: Option<PathBuf>,
    /// This crate's folder of weights, made when first needed.
    pub cache: PathBuf,
    /// Never use the network.
    pub offline: bool,
    /// The most bytes that a file may have.
    pub limit: u64,
    /// How long finding the host may take, and then how long connecting to it.
    pub connect_timeout: Duration,
    /// How long a connected server may be silent, and how long its answer may take to begin.
    pub stall_timeout: Duration,
    /// The fewest bytes a second that the server may send, on the average of a [`stall_timeout`](Self::stall_timeout).
    pub lowest_speed: u64,
    /// How long a [`fetch`](Self::fetch) may take in all, waiting for another that brings the same file included. What
    /// has come until then is kept, and the next one goes on from there.
    pub deadline: Duration,
    /// Go through the proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, save to the hosts in `NO_PROXY`.
    pub env_proxy: bool,
}

impl Hub {
    /// A hub that keeps its files in `cache`, knows no folder of torch and takes nothing from the environment.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            torch: None,
            cache: cache.into(),
            offline: false,
            limit: 1 << 30,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            lowest_speed: 1 << 10,
            deadline: Duration::from_secs(60 * 60),
            env_proxy: false,
        }
    }
}
