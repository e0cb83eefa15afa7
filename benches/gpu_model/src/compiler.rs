//! RADV's compiler, asked in a process of its own for each family of GPUs: the driver reads from the environment which
//! family it is to compile for.

use crate::{Result, radv};
use pretrained::gpu::{PlannedBinding, PlannedPipeline};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The argument by which a program of this package becomes the compiler's process, which [`serve`] is.
pub const ARGUMENT: &str = "--compile";

/// What the driver is told by, and what keeps it from reading what an earlier process has compiled.
const FAMILY: &str = "RADV_FORCE_FAMILY";
const NO_CACHE: &str = "MESA_SHADER_CACHE_DISABLE";

/// A pipeline as the driver takes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The number of each binding, and whether it is a uniform buffer.
    pub bindings: Vec<(u32, bool)>,
    /// SPIR-V.
    pub words: Vec<u32>,
}

impl Source {
    /// # Errors
    /// Where the shader is wrong.
    pub fn of(pipeline: &PlannedPipeline) -> Result<Self> {
        let bindings = pipeline.bindings();
        let bindings = bindings.into_iter().map(|PlannedBinding { binding, uniform }| (binding, uniform)).collect();
        Ok(Self { bindings, words: pipeline.spirv()? })
    }

    /// Invocations of a workgroup: the operands of SPIR-V's `OpExecutionMode .. LocalSize`.
    pub fn invocations(&self) -> Option<u32> {
        const HEADER: usize = 5;
        const EXECUTION_MODE: u32 = 16;
        const LOCAL_SIZE: u32 = 17;
        let mut rest = self.words.get(HEADER..)?;
        while let Some(first) = rest.first() {
            let (operation, length) = (first & 0xffff, (first >> 16) as usize);
            match rest.get(..length.max(1))? {
                [_, _, LOCAL_SIZE, x, y, z] if operation == EXECUTION_MODE => return Some(x * y * z),
                instruction => rest = &rest[instruction.len()..],
            }
        }
        None
    }
}

/// What the driver says of a pipeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compiled {
    /// By the driver's names, such as `VGPRs`.
    pub statistics: BTreeMap<String, u64>,
    /// The machine's instructions.
    pub listing: String,
}

impl Compiled {
    /// # Errors
    /// Where the driver does not tell it.
    pub fn statistic(&self, name: &str) -> Result<u64> {
        Ok(*self.statistics.get(name).ok_or_else(|| format!("the driver tells no {name:?}"))?)
    }
}

/// What came of compiling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// One for each source, in order.
    Compiled(Vec<Compiled>),
    /// The driver is not installed: why it cannot be loaded.
    Absent(String),
    /// It failed.
    Failed(String),
}

/// Compiles for a family, such as `navi21`, in a new process of `program`, which is one of this package.
///
/// # Errors
/// Where the process fails.
pub fn compile(program: &Path, family: &str, sources: &[Source]) -> Result<Outcome> {
    let mut command = Command::new(program);
    command.arg(ARGUMENT).env(FAMILY, family).env(NO_CACHE, "true");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("the compiler's process has no input")?;
    input.write_all(&serde_json::to_vec(sources)?)?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the driver's compiler for {family} ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The process that [`compile`] starts: sources come by the standard input, and what became of them leaves by the standard
/// output.
///
/// # Errors
/// Where either fails.
pub fn serve() -> Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let outcome = radv::compile(&serde_json::from_slice::<Vec<Source>>(&text)?);
    std::io::stdout().write_all(&serde_json::to_vec(&outcome)?)?;
    Ok(())
}

/// Pipelines that differ, each with its source, in the order in which they came.
#[derive(Debug, Default)]
pub struct Distinct {
    /// No two alike.
    pub pipelines: Vec<PlannedPipeline>,
    /// One for each.
    pub sources: Vec<Source>,
    places: HashMap<PlannedPipeline, usize>,
}

impl Distinct {
    /// The place of `pipeline`, which is translated where it is new.
    ///
    /// # Errors
    /// Where its shader is wrong.
    pub fn place(&mut self, pipeline: &PlannedPipeline) -> Result<usize> {
        if let Some(place) = self.places.get(pipeline) {
            return Ok(*place);
        }
        self.sources.push(Source::of(pipeline)?);
        self.pipelines.push(pipeline.clone());
        self.places.insert(pipeline.clone(), self.pipelines.len() - 1);
        Ok(self.pipelines.len() - 1)
    }
}
