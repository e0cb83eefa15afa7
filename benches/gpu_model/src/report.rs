//! Estimates as text: lines for a terminal, and the page of docs/results.

use crate::estimate::{Estimate, StepEstimate};
use crate::gpus::Gpu;
use crate::study::Studied;
use std::fmt::Display;

/// Totals, a line each, and the steps of each where they are asked for.
pub fn text(studied: &[Studied], gpus: &[Gpu], with_steps: bool) -> String {
    let mut text = String::new();
    for Studied { network, precision, estimates } in studied {
        for estimate in estimates {
            text += &format!("{network} {precision}, {}\n", totals(estimate, gpus));
            if with_steps {
                text += &steps(estimate);
                text += "\n";
            }
        }
    }
    text
}

/// One run in words.
fn totals(estimate: &Estimate, gpus: &[Gpu]) -> String {
    let Estimate { gpu, images, waits, wait_time, run_time, uncached_run_time, .. } = estimate;
    let peak = gpus.iter().find(|known| known.name == *gpu).map_or(0.0, Gpu::peak) / 1e3;
    format!(
        "{gpu}, batch {images}: steps {run_time:.0} us + {waits} waits {wait_time:.0} us = {:.0} us, {:.0} img/s, {:.2} TFLOP/s \
         = {:.1} % of {peak:.1}; without the last cache {:.0} us; bound by {}; kernels {}",
        run_time + wait_time,
        estimate.rate,
        estimate.teraoperations,
        estimate.peak,
        uncached_run_time + wait_time,
        largest_first(&estimate.bounds),
        largest_first(&estimate.kernels),
    )
}

fn largest_first<K: Display>(times: &std::collections::BTreeMap<K, f64>) -> String {
    let mut times: Vec<(&K, &f64)> = times.iter().collect();
    times.sort_by(|a, b| b.1.total_cmp(a.1));
    let times: Vec<String> = times.into_iter().map(|(name, time)| format!("{name} {time:.0}")).collect();
    times.join(", ")
}

const STEP_COLUMNS: [&str; 17] = [
    "#",
    "kernel",
    "shape",
    "workgroups",
    "invocations",
    "Mop",
    "kB",
    "kB of memory",
    "VGPRs",
    "waves",
    "instr/FMA",
    "VALU/FMA",
    "ratio",
    "latency",
    "us",
    "us uncached",
    "waits",
];

/// The steps of a run as a table of Markdown.
fn steps(estimate: &Estimate) -> String {
    table(&STEP_COLUMNS, estimate.steps.iter().enumerate().map(|(index, step)| step_cells(index, step)))
}

fn step_cells(index: usize, step: &StepEstimate) -> Vec<String> {
    let two = |pair: Option<[f64; 2]>| pair.map_or(String::new(), |[inner, all]| format!("{inner:.2}, {all:.2}"));
    vec![
        (index + 1).to_string(),
        step.kernel.to_owned(),
        step.shape.clone(),
        step.workgroups.to_string(),
        step.invocations.to_string(),
        format!("{:.2}", step.gigaoperations * 1e3),
        format!("{:.0}", step.bytes / 1e3),
        format!("{:.0}", step.memory_bytes / 1e3),
        step.registers.to_string(),
        step.waves.to_string(),
        two(step.instructions),
        two(step.vectors),
        format!("{:.2}", step.ratio),
        format!("{:.0}", step.latency),
        format!("{:.1} {}", step.time, step.bound),
        format!("{:.1}", step.uncached),
        u8::from(step.waits).to_string(),
    ]
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(columns.len()));
    [line(&columns), rule].into_iter().chain(rows.map(|row| line(&row))).collect()
}

/// The page, for a date in words: totals of all, and the steps of what `detailed` names.
pub fn page(studied: &[Studied], gpus: &[Gpu], date: &str, detailed: &str) -> String {
    let mut page = format!(
        "# Kernels on GPUs that are not here\n\
         {date}, by `cargo run -p gpu_model -- --page DATE`. Registers and instructions are what RADV's compiler made for\n\
         navi21; bytes follow from the plan; times are a model's, for none of these GPUs was here.\n\
         [The tool's page](../../benches/gpu_model/README.md) says what it assumes. Compare figures of this page with each other\n\
         alone.\n\n"
    );
    for gpu in gpus {
        page += &format!("- `{}`: {}; {:.1} TFLOP/s at most.\n", gpu.name, gpu.is, gpu.peak() / 1e3);
    }
    page += "\n## Runs\nMicroseconds of a run with its waits; in brackets where the last cache keeps nothing; images a second; \
             percent of the peak.\n\n";
    let names = gpus.iter().map(|gpu| gpu.name);
    let columns: Vec<&str> = ["network", "width", "batch"].into_iter().chain(names).collect();
    let mut rows = Vec::new();
    for Studied { network, precision, estimates } in studied {
        let mut batches: Vec<usize> = estimates.iter().map(|estimate| estimate.images).collect();
        batches.sort_unstable();
        batches.dedup();
        for images in batches {
            let cells = estimates.iter().filter(|estimate| estimate.images == images).map(run_cell);
            rows.push([network.clone(), precision.clone(), images.to_string()].into_iter().chain(cells).collect());
        }
    }
    page += &table(&columns, rows.into_iter());
    page += "\n## Where the time goes\n";
    for Studied { network, precision, estimates } in studied.iter().filter(|studied| studied.network == detailed) {
        for estimate in estimates {
            page += &format!("- {network} {precision}, {}.\n", totals(estimate, gpus));
        }
    }
    for Studied { network, precision, estimates } in studied.iter().filter(|studied| studied.network == detailed) {
        let shown = |estimate: &&Estimate| estimate.gpu == "navi21" && [1, 64].contains(&estimate.images);
        for estimate in estimates.iter().filter(shown).filter(|_| precision == "f32") {
            let images = estimate.images;
            page += &format!("\n## Steps of {network}, {precision}, navi21, batch {images}\n");
            page += "Of two figures a multiplication the first is of the innermost loop and the second of all. The ratio is of \
                     what the kernel computes and what the step needs. Latency is in cycles of a wave that is alone.\n\n";
            page += &steps(estimate);
        }
    }
    page
}

fn run_cell(estimate: &Estimate) -> String {
    let with_waits = |time: f64| time + estimate.wait_time;
    format!(
        "{:.0} ({:.0}); {:.0}; {:.1} %",
        with_waits(estimate.run_time),
        with_waits(estimate.uncached_run_time),
        estimate.rate,
        estimate.peak
    )
}
