//! Every pipeline of every network that can be named, compiled by FXC, the compiler that DX12 has everywhere: that it takes
//! them, and not long. Runs on Windows, or under Wine with Microsoft's d3dcompiler_47.dll.
#![cfg(windows)]

use gpu_model::compiler::Distinct;
use gpu_model::hlsl;
use gpu_model::networks::{NAMES, blueprint};
use pretrained::Precision;
use pretrained::gpu::Kernels;
use std::time::{Duration, Instant};
use windows::Win32::Graphics::Direct3D::Fxc::{D3DCOMPILE_OPTIMIZATION_LEVEL3, D3DCompile};
use windows::Win32::Graphics::Direct3D::ID3DBlob;
use windows::core::{PCSTR, s};

/// What a pipeline may take on any machine. One with loops that FXC unrolled where it should not took 20 seconds.
const LONGEST: Duration = Duration::from_secs(10);

/// What FXC says of a shader that it does not take.
#[allow(unsafe_code)]
fn compile(text: &str) -> Result<(), String> {
    let (mut code, mut messages) = (None::<ID3DBlob>, None::<ID3DBlob>);
    let (entry, target) = (s!("main"), s!("cs_5_1"));
    // SAFETY: the pointers are those of `text` and of two places for what is made, and all outlive the call.
    let compiled = unsafe {
        let source = text.as_ptr().cast();
        let flags = D3DCOMPILE_OPTIMIZATION_LEVEL3;
        let blobs = (&raw mut code, Some(&raw mut messages));
        D3DCompile(source, text.len(), PCSTR::null(), None, None, entry, target, flags, 0, blobs.0, blobs.1)
    };
    compiled.map_err(|error| {
        let Some(messages) = messages else { return error.to_string() };
        // SAFETY: a blob has as many bytes as it says, for as long as it lives.
        let bytes =
            unsafe { std::slice::from_raw_parts(messages.GetBufferPointer().cast::<u8>(), messages.GetBufferSize()) };
        String::from_utf8_lossy(bytes).into_owned()
    })
}

#[test]
fn fxc_takes_every_kernel_and_not_long() {
    let mut distinct = Distinct::default();
    for name in NAMES {
        let blueprint = blueprint(name).unwrap();
        for kernels in [Kernels::Few, Kernels::Many, Kernels::Integrated, Kernels::Discrete] {
            for precision in [Precision::F32, Precision::F16] {
                for step in blueprint.steps(kernels, precision, 1).unwrap() {
                    [Some(&step.pipeline), step.levels.as_ref()].into_iter().flatten().for_each(|pipeline| {
                        distinct.place(pipeline).unwrap();
                    });
                }
            }
        }
    }
    let mut wrong = Vec::new();
    let mut longest = (Duration::ZERO, String::new());
    for pipeline in &distinct.pipelines {
        let (name, began) = (pipeline.name(), Instant::now());
        if let Err(messages) = compile(&hlsl::of(pipeline).unwrap()) {
            wrong.push(format!("{name}: {messages}"));
        }
        longest = longest.max((began.elapsed(), name));
    }
    println!("{} pipelines; {} took longest, {:?}", distinct.pipelines.len(), longest.1, longest.0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(longest.0 < LONGEST, "{} took {:?}", longest.1, longest.0);
}

#[test]
fn what_is_wrong_is_told() {
    let messages = compile("[numthreads(1, 1, 1)] void main() { nothing(); }").unwrap_err();
    assert!(messages.contains("nothing"), "{messages}");
}
