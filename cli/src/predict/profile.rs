//! The table that `--profile` prints: a line a step of the network.

use pretrained::{StepTime, printable};
use std::fmt::Write;

/// The steps in order, and their sum.
pub fn table(steps: &[StepTime]) -> String {
    let micros = |step: &StepTime| step.time.as_secs_f64() * 1e6;
    let total: f64 = steps.iter().map(micros).sum();
    let mut table = format!(
        "{:22} {:14} {:>12} {:>12} {:>9} {:>8} {:>7} {:>6}\n",
        "step", "kernel", "reads", "writes", "us", "GFLOP/s", "GB/s", "share"
    );
    for step in steps {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{:22} {:14} {:>12} {:>12} {:9.1} {:8.1} {:7.2} {:5.1}%",
            printable::cut(&step.name, 100),
            step.kernel,
            step.input.to_string(),
            step.output.to_string(),
            micros(step),
            step.gflops(),
            step.gigabytes(),
            100.0 * micros(step) / total.max(f64::MIN_POSITIVE)
        );
    }
    let images = steps.first().map_or(0, |step| step.batch);
    let _ = writeln!(table, "{} steps, batch {images}: {total:.1} us", steps.len());
    table
}
