//! Latency from input on the host to logits on the host, by model, device and batch; and the way to the first answer.
//!
//! `cargo bench` runs on the CPU and every adapter; `PRETRAINED_ADAPTERS=llvmpipe cargo bench -- batch/1` narrows it.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pretrained::zoo;
use pretrained::{Classifier, Device, DeviceChoice, DeviceKind, Model, Session, SessionOptions, catalog};
use std::time::Duration;

/// The adapters that `PRETRAINED_ADAPTERS`, a comma-separated list of parts of names, asks for, or all; and the CPU.
fn devices() -> Vec<Device> {
    let names: Vec<String> = match std::env::var("PRETRAINED_ADAPTERS") {
        Ok(list) => list.split(',').map(|name| name.trim().to_owned()).collect(),
        Err(_) => {
            let gpus = Device::list().into_iter().filter(|info| info.kind != DeviceKind::Cpu);
            gpus.map(|info| info.name).collect()
        }
    };
    let gpus = names.into_iter().map(|name| Device::open(&DeviceChoice::Named(name)).expect("the adapter opens"));
    gpus.chain([Device::cpu()]).collect()
}

/// The shipped models, and some of torchvision's with weights of no meaning, which run as fast as real ones.
fn models() -> Vec<Model> {
    let shipped = ["mnist_mlp", catalog::DEFAULT];
    let shipped = shipped.map(|name| {
        let builder = Classifier::builder().device(Device::cpu()).model(name);
        builder.build().expect("a shipped model loads").model().clone()
    });
    let names =
        ["shufflenetv2_x0_5", "shufflenetv2_x1_0", "mobilenet_v2", "mobilenet_v3_large", "resnet50", "squeezenet1_1"];
    let torchvision = names.map(|name| {
        let network = zoo::by_name(name, 1000).expect("torchvision's name");
        let values = network.graph.parameters().iter().map(|p| vec![0.01; p.shape.iter().product()]).collect();
        Model::from_weights(network, values).expect("as many values as parameters")
    });
    shipped.into_iter().chain(torchvision).collect()
}

fn latency(c: &mut Criterion) {
    for device in devices() {
        for model in models() {
            let network = model.network();
            let mut group = c.benchmark_group(format!("{}/{}", network.name, device.name()));
            for batch in [1, 8, 32] {
                let session =
                    match Session::new(&device, &model, network.input, &SessionOptions::default().max_batch(batch)) {
                        Ok(session) => session,
                        Err(error) => {
                            eprintln!("not timed: {}, batch {batch}: {error}", network.name);
                            continue;
                        }
                    };
                let images = vec![0.5; batch * network.input.elements()];
                group.throughput(Throughput::Elements(batch as u64));
                group.bench_function(BenchmarkId::new("batch", batch), |b| {
                    b.iter(|| session.run(&images).expect("it runs"));
                });
            }
        }
    }
}

/// Opening the device, loading the weights, and one picture. The driver's own cache of compiled shaders stays warm.
fn cold_start(c: &mut Criterion) {
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images/ship.png");
    for name in devices().iter().map(Device::name) {
        c.bench_function(&format!("first answer/{name}"), |b| {
            b.iter(|| {
                let choice = name.parse().unwrap_or_default();
                let classifier = Classifier::builder().device_choice(choice).max_batch(1).build().expect("it loads");
                classifier.classify_file(image, 1).expect("it predicts")
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = latency, cold_start
}
criterion_main!(benches);
