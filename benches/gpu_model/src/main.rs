//! Prints what a network's kernels take on GPUs that are not there. `--help` tells how it is asked.

use gpu_model::gpus::GPUS;
use gpu_model::study::Study;
use gpu_model::{Result, compiler, report};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
gpu_model [NETWORK]... [--precision f32,f16] [--batch 1,64] [--gpu apu,navi21,h200,intel96] [--steps] [--json]
gpu_model [NETWORK]... --listing          the machine's instructions of each kernel
gpu_model [NETWORK]... --files FOLDER     each kernel as files there for other compilers: SPIR-V and HLSL
gpu_model --page DATE     docs/results/gpu-model.md, for a date in words
";

/// The networks of the page, and the one whose steps it shows.
const PAGE: [&str; 5] = ["shufflenetv2_x0_5", "shufflenetv2_x1_0", "shufflenetv2_x2_0", "mobilenet_v2", "resnet50"];
const DETAILED: &str = "shufflenetv2_x1_0";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gpu_model: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut study = Study {
        networks: Vec::new(),
        precisions: vec![pretrained::Precision::F32],
        batches: vec![1, 64],
        gpus: GPUS.to_vec(),
    };
    let (mut steps, mut json, mut listing, mut files, mut page) = (false, false, false, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut list = || -> Result<Vec<String>> {
            let list = arguments.next().ok_or_else(|| format!("{argument} needs a value\n{HELP}"))?;
            Ok(list.split(',').map(str::to_owned).collect())
        };
        match argument.as_str() {
            compiler::ARGUMENT => return compiler::serve(),
            "--help" => {
                print!("{HELP}");
                return Ok(());
            }
            "--precision" => {
                study.precisions = list()?.iter().map(|name| name.parse()).collect::<std::result::Result<_, _>>()?
            }
            "--batch" => {
                study.batches = list()?.iter().map(|count| count.parse()).collect::<std::result::Result<_, _>>()?
            }
            "--gpu" => {
                let names = list()?;
                study.gpus.retain(|gpu| names.iter().any(|name| name == gpu.name));
                if study.gpus.len() != names.len() {
                    return Err(format!("not all of {} are known\n{HELP}", names.join(", ")).into());
                }
            }
            "--page" => page = Some(list()?.join(",")),
            "--files" => files = Some(PathBuf::from(list()?.join(","))),
            "--steps" => steps = true,
            "--json" => json = true,
            "--listing" => listing = true,
            name if !name.starts_with('-') => study.networks.push(name.to_owned()),
            _ => return Err(format!("{argument:?} is no option\n{HELP}").into()),
        }
    }
    if page.is_some() {
        study.precisions = vec![pretrained::Precision::F32, pretrained::Precision::F16];
        study.batches = vec![1, 8, 64];
        study.networks = PAGE.map(str::to_owned).to_vec();
    }
    if study.networks.is_empty() {
        study.networks.push(DETAILED.to_owned());
    }
    let program = std::env::current_exe()?;
    if listing {
        return Ok(std::io::stdout().write_all(study.listings(&program)?.as_bytes())?);
    }
    if let Some(folder) = files {
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in study.modules()? {
            std::fs::write(folder.join(name), bytes)?;
        }
        return Ok(());
    }
    let studied = study.run(&program)?;
    let text = match page {
        Some(date) => report::page(&studied, &study.gpus, &date, DETAILED),
        None if json => serde_json::to_string_pretty(&studied)? + "\n",
        None => report::text(&studied, &study.gpus, steps),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
