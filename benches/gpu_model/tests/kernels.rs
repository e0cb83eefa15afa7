//! Every pipeline of every network that can be named, compiled for GPUs that are not there: registers, spills, validity; and
//! how many pipelines, dispatches and waits each network takes.

#[path = "../../../tests/common/mod.rs"]
mod common;

use common::{required, skipped};
use gpu_model::compiler::{Compiled, Distinct, Outcome, Source, compile};
use gpu_model::gpus::GPUS;
use gpu_model::kernel::Kernel;
use gpu_model::networks::{NAMES, blueprint};
use gpu_model::study::FAMILY;
use pretrained::Precision;
use pretrained::gpu::{Kernels, PlannedStep};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Families of AMD GPUs, as RADV calls them: RDNA 2, GCN 5, RDNA 3, and an APU of GCN 5.
const FAMILIES: [&str; 4] = ["navi21", "vega10", "gfx1100", "renoir"];

/// Vector registers that a lane may take, by shader, so that no fewer waves than now hide each other's waiting; those of
/// RDNA come in eights.
const REGISTERS: [(&str, u64); 10] = [
    // Halves take a register each where they are unpacked, as on GCN.
    ("dense", 120),
    ("dense_sliced", 64),
    ("separable_sliced", 108),
    ("depthwise_rows", 48),
    ("planes", 48),
    ("conv", 24),
    ("max_pool_rows", 48),
    ("linear_sliced", 84),
    ("mean_sliced", 24),
    ("elementwise", 24),
];

/// Bytes that a workgroup may share: as many as any device of WebGPU grants.
const SHARED: u64 = 16384;

/// A network's steps for each kind of kernels and each width.
struct Planned {
    name: &'static str,
    ways: Vec<(Kernels, Precision, Vec<PlannedStep>)>,
}

/// All of them, planned once, on as many threads as there are cores.
fn planned() -> &'static [Planned] {
    static PLANNED: OnceLock<Vec<Planned>> = OnceLock::new();
    PLANNED.get_or_init(|| {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            while let Some((index, name)) = NAMES.iter().enumerate().nth(next.fetch_add(1, Relaxed)) {
                found.push((index, plan(name)));
            }
            found
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut all: Vec<(usize, Planned)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, planned)| planned).collect()
    })
}

fn plan(name: &'static str) -> Planned {
    let blueprint = blueprint(name).unwrap();
    let mut ways = Vec::new();
    for kernels in [Kernels::Few, Kernels::Many, Kernels::Integrated, Kernels::Discrete] {
        for precision in [Precision::F32, Precision::F16] {
            ways.push((kernels, precision, blueprint.steps(kernels, precision, 1).unwrap()));
        }
    }
    Planned { name, ways }
}

/// Their pipelines, each once.
fn distinct() -> &'static Distinct {
    static DISTINCT: OnceLock<Distinct> = OnceLock::new();
    DISTINCT.get_or_init(|| {
        let mut distinct = Distinct::default();
        for (_, _, steps) in planned().iter().flat_map(|planned| &planned.ways) {
            let pipelines = steps.iter().flat_map(|step| [Some(&step.pipeline), step.levels.as_ref()]);
            pipelines.flatten().for_each(|pipeline| _ = distinct.place(pipeline).unwrap());
            assert_eq!(steps.iter().filter(|step| step.levels.is_some()).count(), 1);
        }
        distinct
    })
}

/// What RADV makes of sources for a family, or none, and a visible line, where it is absent and not required.
fn compiled(family: &str, sources: &[Source]) -> Option<Vec<Compiled>> {
    let program = Path::new(env!("CARGO_BIN_EXE_gpu_model"));
    match compile(program, family, sources).unwrap() {
        Outcome::Compiled(compiled) => Some(compiled),
        Outcome::Failed(reason) => panic!("{family}: {reason}"),
        Outcome::Absent(reason) => {
            assert!(!required("radv"), "RADV is absent, and PRETRAINED_REQUIRE asks for it: {reason}");
            skipped("needs RADV, which Debian's mesa-vulkan-drivers has");
            None
        }
    }
}

#[test]
fn no_kernel_spills_or_takes_too_many_registers() {
    let mut over = Vec::new();
    for family in FAMILIES {
        let Some(compiled) = compiled(family, &distinct().sources) else { return };
        let pipelines = &distinct().pipelines;
        assert_eq!(compiled.len(), pipelines.len());
        for (pipeline, compiled) in pipelines.iter().zip(&compiled) {
            let (shader, name) = (pipeline.shader(), pipeline.name());
            let bound = REGISTERS.iter().find(|(found, _)| *found == shader);
            let (_, most) = bound.unwrap_or_else(|| panic!("REGISTERS has no row for {shader}"));
            let bounds = [
                ("VGPRs", *most),
                ("Spilled VGPRs", 0),
                ("Spilled SGPRs", 0),
                ("Scratch size", 0),
                ("LDS size", SHARED),
            ];
            for (what, most) in bounds {
                let found = compiled.statistic(what).unwrap();
                if found > most {
                    over.push(format!("{name} on {family}: {what} {found}, and {most} is its bound"));
                }
            }
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

/// So many invocations that registers do not suffice make the driver spill, and tell it.
#[test]
fn what_spills_is_seen() {
    const LOCAL_SIZE: u32 = 17;
    let dense = distinct().pipelines.iter().position(|pipeline| pipeline.name().starts_with("dense.xyw")).unwrap();
    let mut source = distinct().sources[dense].clone();
    let size = source.words.windows(4).position(|words| words[0] == LOCAL_SIZE && words[3] == 1).unwrap() + 1;
    source.words[size..size + 2].copy_from_slice(&[32, 32]);
    assert_eq!(source.invocations(), Some(1024));
    let Some(compiled) = compiled("vega10", &[source]) else { return };
    assert!(compiled[0].statistic("Spilled VGPRs").unwrap() > 0, "{:?}", compiled[0].statistics);
}

/// The model understands each kernel: its loops are those that its text has, and it computes what its step needs.
#[test]
fn every_kernel_is_understood() {
    let Distinct { pipelines, sources, .. } = distinct();
    let Some(compiled) = compiled(FAMILY, sources) else { return };
    let kernels: Vec<Kernel> = sources.iter().zip(&compiled).map(|(s, c)| Kernel::of(s, c).unwrap()).collect();
    let mut seen = HashSet::new();
    for Planned { name, ways } in planned() {
        for step in ways.iter().flat_map(|(_, _, steps)| steps) {
            let place = pipelines.iter().position(|pipeline| *pipeline == step.pipeline).unwrap();
            if seen.insert((place, step.inputs, step.runs, step.rows, step.workgroups(1), step.input)) {
                for images in [1, 8] {
                    let walked = kernels[place].walk(step, images, &GPUS[0].costs);
                    walked.unwrap_or_else(|error| panic!("{name}, {images} images: {error}"));
                }
            }
        }
    }
}

/// Neither a kernel that computes less than its step needs is believed, nor one with loops that its text has not.
#[test]
fn a_listing_that_is_misread_gives_no_figure() {
    let step = planned()[0].ways[2].2.iter().find(|step| step.pipeline.shader() == "dense").unwrap();
    let source = Source::of(&step.pipeline).unwrap();
    let statistics = [("VGPRs".to_owned(), 24), ("LDS size".to_owned(), 0)].into();
    let single = "BB0:\n\ts_nop 0\nBB1:\n\ts_cbranch_scc1 BB3\nBB2:\n\tv_fmac_f32 v1, v2, v3\n\ts_branch BB1\n\
                  BB3:\n\tbuffer_store_dwordx4 v[4:7], v1, s[12:15], 0 offen\n";
    let nested = "BB0:\n\ts_cbranch_scc1 BB4\nBB1:\n\ts_cbranch_scc1 BB3\nBB2:\n\ts_branch BB1\nBB3:\n\ts_branch BB0\n\
                  BB4:\n\ts_endpgm\n";
    for (listing, expected) in
        [(single, "times what the step needs"), (nested, "are not those that trips.rs knows: [[]]")]
    {
        let compiled = Compiled { statistics: BTreeMap::clone(&statistics), listing: listing.to_owned() };
        let refused = Kernel::of(&source, &compiled).unwrap().walk(step, 1, &GPUS[0].costs).unwrap_err().to_string();
        assert!(refused.contains(&step.name) && refused.contains(expected), "{refused}");
    }
}

#[test]
fn spirv_val_accepts_every_kernel() {
    if Command::new("spirv-val").arg("--version").output().is_err() {
        assert!(!required("spirv-val"), "spirv-val is absent, and PRETRAINED_REQUIRE asks for it");
        skipped("needs spirv-val, which Debian's spirv-tools has");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (pipeline, source) in distinct().pipelines.iter().zip(&distinct().sources) {
        let path = folder.path().join("kernel.spv");
        let bytes: Vec<u8> = source.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new("spirv-val").args(["--target-env", "vulkan1.1"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", pipeline.name());
    }
}

/// Where every step has many results, and for one image on a GPU of its own: dispatches, how many of them wait, and pipelines
/// where numbers are stored in 32 bits, and in 16. A change that alters one of these alters this table.
const EXPECTED: [(&str, [usize; 4], [usize; 4]); NAMES.len()] = [
    // network             many                one image
    ("shufflenetv2_x0_5", [59, 55, 7, 7], [40, 36, 7, 7]),
    ("shufflenetv2_x1_0", [59, 55, 7, 7], [40, 36, 7, 7]),
    ("shufflenetv2_x1_5", [59, 55, 7, 7], [40, 36, 7, 7]),
    ("shufflenetv2_x2_0", [59, 55, 7, 7], [45, 41, 9, 9]),
    ("mobilenet_v2", [54, 53, 8, 8], [39, 38, 11, 11]),
    ("mobilenet_v3_small", [73, 72, 14, 14], [71, 70, 17, 17]),
    ("mobilenet_v3_large", [81, 80, 17, 17], [74, 73, 21, 21]),
    ("squeezenet1_0", [30, 21, 5, 5], [30, 21, 7, 7]),
    ("squeezenet1_1", [30, 21, 5, 5], [30, 21, 7, 7]),
    ("resnet18", [23, 22, 8, 8], [23, 22, 10, 10]),
    ("resnet34", [39, 38, 8, 8], [39, 38, 10, 10]),
    ("resnet50", [56, 55, 9, 9], [56, 55, 16, 16]),
    ("resnet101", [107, 106, 9, 9], [107, 106, 16, 16]),
    ("resnet152", [158, 157, 9, 9], [158, 157, 16, 16]),
    ("resnext50_32x4d", [56, 55, 9, 9], [56, 55, 16, 16]),
    ("resnext101_32x8d", [107, 106, 9, 9], [107, 106, 16, 16]),
    ("resnext101_64x4d", [107, 106, 9, 9], [107, 106, 16, 16]),
    ("wide_resnet50_2", [56, 55, 9, 9], [56, 55, 17, 17]),
    ("wide_resnet101_2", [107, 106, 9, 9], [107, 106, 17, 17]),
];

#[test]
fn networks_take_so_many_dispatches_waits_and_pipelines() {
    let counts = |planned: &'static Planned, kernels| {
        let steps = |precision| {
            let way = planned.ways.iter().find(|way| way.0 == kernels && way.1 == precision);
            way.map(|(_, _, steps)| steps).unwrap()
        };
        let pipelines = |steps: &[PlannedStep]| steps.iter().map(|step| &step.pipeline).collect::<HashSet<_>>().len();
        let (f32, f16) = (steps(Precision::F32), steps(Precision::F16));
        let waits = f32.iter().filter(|step| step.waits).count();
        [f32.len(), waits, pipelines(f32), pipelines(f16)]
    };
    let found = planned()
        .iter()
        .map(|planned| (planned.name, counts(planned, Kernels::Many), counts(planned, Kernels::Discrete)));
    let differ: Vec<_> = found.filter(|row| !EXPECTED.contains(row)).collect();
    assert!(differ.is_empty(), "the table is another one: {differ:?}");
}
