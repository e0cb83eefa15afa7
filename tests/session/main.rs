//! Sessions: any batch up to the maximum, sizes that no device can hold, and several sessions at once.

#[path = "../common/mod.rs"]
mod common;
mod levels;
mod sharing;

use common::{devices, gpus, relative_error};
use pretrained::graph::{Builder, Conv2d, Linear, MaxPool2d, Shape, Value};
use pretrained::zoo::{Network, ShuffleNetV2};
use pretrained::{
    CpuOptions, Device, DeviceChoice, Error, ErrorKind, Model, Precision, Session, SessionOptions, Ticket,
};
use rayon::prelude::*;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A small network with weights that differ from each other.
fn model() -> Model {
    let spec = ShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [5, 6, 10, 14, 9], num_classes: 4 };
    let network = spec.network();
    let weight = |i: usize| ((i * 37 % 101) as f32 / 50.0 - 0.9).abs() * 0.3;
    let values = network.graph.parameters().iter().map(|p| (0..p.shape.iter().product()).map(weight).collect());
    let values = values.collect();
    Model::from_weights(network, values).unwrap()
}

fn images(shape: Shape, count: usize) -> Vec<f32> {
    (0..count * shape.elements()).map(|i| (i * 13 % 97) as f32 / 97.0).collect()
}

const SHAPE: Shape = Shape::new(3, 33, 47);

#[test]
fn a_batch_gives_what_its_images_give_alone() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(5)).unwrap();
        assert_eq!((session.input(), session.outputs(), session.max_batch()), (SHAPE, 4, 5));
        let all = images(SHAPE, 5);
        let alone: Vec<f32> = all.chunks(SHAPE.elements()).flat_map(|image| session.run(image).unwrap()).collect();
        for count in [5, 2, 4, 1, 3] {
            let logits = session.run(&all[..count * SHAPE.elements()]).unwrap();
            assert!(relative_error(&logits, &alone[..count * 4]) <= 1e-6, "{count} on {}", device.name());
        }
    }
}

#[test]
fn a_batch_that_is_none_is_refused_and_the_session_goes_on() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(2)).unwrap();
        for bad in [0, 1, SHAPE.elements() - 1, SHAPE.elements() + 1, 3 * SHAPE.elements()] {
            let error = session.run(&vec![0.0; bad]).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{bad} on {}: {error}", device.name());
        }
        assert_eq!(session.run(&images(SHAPE, 2)).unwrap().len(), 8);
        assert!(matches!(
            Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(0)),
            Err(Error::Usage(_))
        ));
    }
}

#[test]
fn what_no_device_can_hold_is_refused_before_memory_is_taken() {
    let model = model();
    for device in devices() {
        let huge =
            Session::new(&device, &model, Shape::new(3, 1 << 20, 1 << 20), &SessionOptions::default()).unwrap_err();
        assert!(matches!(huge, Error::Device { .. } | Error::Limit { .. }), "{huge}");
    }
    for device in gpus() {
        for batch in [1 << 24, usize::MAX] {
            let error = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(batch))
                .unwrap_err()
                .to_string();
            assert!(error.contains("is its limit"), "{error}");
        }
    }
    // 136 MB of weights: more than lavapipe binds, and than Vulkan demands of anybody.
    let mut g = Builder::new();
    let x = g.mean(Value::INPUT);
    let x = g.linear("head", x, Linear::new(34_000, 1000));
    let graph = g.finish(x);
    let values = graph.parameters().iter().map(|p| vec![1e-4; p.shape.iter().product()]).collect();
    let mut network = model.network().clone();
    network.graph = graph;
    let (model, shape) = (Model::from_weights(network, values).unwrap(), Shape::new(34_000, 1, 1));
    for device in gpus() {
        match Session::new(&device, &model, shape, &SessionOptions::default()) {
            Ok(session) => {
                assert!(!device.name().contains("llvmpipe"), "it binds 128 MiB");
                assert!((session.run(&vec![1.0; 34_000]).unwrap()[999] - 3.4).abs() < 0.01, "{}", device.name());
            }
            Err(error) => assert!(error.to_string().contains("the weights of head take 136"), "{error}"),
        }
    }
}

#[test]
fn several_sessions_share_a_device_from_several_threads() {
    let model = model();
    for device in devices() {
        let expected = Session::new(&Device::cpu(), &model, SHAPE, &SessionOptions::default())
            .unwrap()
            .run(&images(SHAPE, 1))
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let session = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
                    for _ in 0..50 {
                        let logits = session.run(&images(SHAPE, 1)).unwrap();
                        assert!(relative_error(&logits, &expected) <= 1e-4, "on {}", device.name());
                    }
                });
            }
        });
    }
}

/// Devices with threads of their own: more than the machine may have, and none beside the caller's.
fn pools() -> Vec<Device> {
    let with = |threads| CpuOptions { threads: NonZeroUsize::new(threads), ..CpuOptions::default() };
    [3, 1].map(|threads| Device::cpu_with(with(threads)).unwrap()).into()
}

/// What each of these batches gives by itself.
fn batches(model: &Model) -> Vec<(Shape, usize, Vec<f32>)> {
    let on_its_own = |(shape, count): (Shape, usize)| {
        let session = Session::new(&Device::cpu(), model, shape, &SessionOptions::default().max_batch(count)).unwrap();
        (shape, count, session.run(&images(shape, count)).unwrap())
    };
    [(SHAPE, 1), (Shape::new(3, 64, 40), 2), (SHAPE, 5), (Shape::new(3, 32, 32), 3)].map(on_its_own).into()
}

fn check(session: &Session, (shape, count, expected): &(Shape, usize, Vec<f32>)) {
    let logits = session.run(&images(*shape, *count)).unwrap();
    assert!(relative_error(&logits, expected) <= 1e-6, "a batch of {count}");
}

#[test]
fn sessions_of_different_sizes_share_one_pool() {
    let model = model();
    let batches = batches(&model);
    for device in pools() {
        std::thread::scope(|scope| {
            for batch in &batches {
                let session =
                    Session::new(&device, &model, batch.0, &SessionOptions::default().max_batch(batch.1)).unwrap();
                scope.spawn(move || (0..100).for_each(|_| check(&session, batch)));
            }
        });
    }
}

#[test]
fn sessions_run_on_threads_of_a_rayon_pool() {
    let model = model();
    let batches = batches(&model);
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    for device in pools() {
        rayon.install(|| {
            (0..200).into_par_iter().for_each(|i| {
                let batch = &batches[i % batches.len()];
                let session =
                    Session::new(&device, &model, batch.0, &SessionOptions::default().max_batch(batch.1)).unwrap();
                // Work that rayon may take up while it waits, also with this thread.
                rayon::join(|| check(&session, batch), || std::hint::black_box(images(SHAPE, 1)));
            });
        });
    }
}

#[test]
fn sessions_run_in_tasks_of_a_tokio_runtime() {
    let model = Arc::new(model());
    let batches = Arc::new(batches(&model));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for device in pools() {
        let tasks: Vec<_> = (0..40)
            .map(|i| {
                let (device, model, batches) = (device.clone(), model.clone(), batches.clone());
                let work = move || {
                    let batch = &batches[i % batches.len()];
                    let session =
                        Session::new(&device, &model, batch.0, &SessionOptions::default().max_batch(batch.1)).unwrap();
                    (0..5).for_each(|_| check(&session, batch));
                };
                // On the runtime's own threads, which nobody should, and on those that it keeps for what blocks.
                if i % 2 == 0 { runtime.spawn(async move { work() }) } else { runtime.spawn_blocking(work) }
            })
            .collect();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

#[test]
fn a_session_outlives_its_device() {
    let model = model();
    let batches = batches(&model);
    for device in pools() {
        let sessions: Vec<Session> = batches
            .iter()
            .map(|batch| Session::new(&device, &model, batch.0, &SessionOptions::default().max_batch(batch.1)).unwrap())
            .collect();
        drop(device);
        // Each thread drops its session; the last one drops what they shared, while others of the pool may be at work.
        std::thread::scope(|scope| {
            for (session, batch) in sessions.into_iter().zip(&batches) {
                scope.spawn(move || (0..20).for_each(|_| check(&session, batch)));
            }
        });
    }
}

/// Wakes the thread that waits for a future.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(ticket: Ticket) -> pretrained::Result<Vec<f32>> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut ticket = std::pin::pin!(ticket);
    loop {
        match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(results) => return results,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn batches_in_flight_come_back_each_with_its_own_results() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(3)).unwrap();
        let all = images(SHAPE, 6);
        let batches: Vec<&[f32]> = [(0, 1), (1, 3), (3, 4), (4, 6), (2, 5)]
            .map(|(from, to)| &all[from * SHAPE.elements()..to * SHAPE.elements()])
            .to_vec();
        let expected: Vec<Vec<f32>> = batches.iter().map(|batch| session.run(batch).unwrap()).collect();
        let mut tickets: Vec<Ticket> = batches.iter().map(|batch| session.submit(batch).unwrap()).collect();
        // The last first, one of them awaited, and one given up.
        assert_eq!(tickets.pop().unwrap().wait().unwrap(), expected[4], "{}", device.name());
        assert_eq!(block_on(tickets.pop().unwrap()).unwrap(), expected[3], "{}", device.name());
        drop(tickets.pop());
        assert_eq!(block_on(tickets.remove(0)).unwrap(), expected[0], "{}", device.name());
        drop(session);
        assert_eq!(tickets.remove(0).wait().unwrap(), expected[1], "{}", device.name());
    }
}

#[test]
fn a_batch_that_is_staged_runs_when_it_is_submitted() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(2)).unwrap();
        let all = images(SHAPE, 4);
        let (first, others) = all.split_at(2 * SHAPE.elements());
        let (second, given_up) = others.split_at(SHAPE.elements());
        let expected = [first, second].map(|batch| session.run(batch).unwrap());
        let under_way = session.submit(first).unwrap();
        let staged = session.stage(second).unwrap();
        assert_eq!(under_way.wait().unwrap(), expected[0], "{}", device.name());
        assert_eq!(staged.submit().unwrap().wait().unwrap(), expected[1], "{}", device.name());
        drop(session.stage(given_up).unwrap());
        assert!(matches!(session.stage(&all), Err(Error::Usage(_))), "{}", device.name());
        // More tickets than one waits for, each dropped at once, or polled first.
        for count in 0..20 {
            let mut ticket = session.submit(given_up).unwrap();
            if count % 2 == 0 {
                let _ = Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
            }
        }
        assert_eq!(block_on(session.submit(first).unwrap()).unwrap(), expected[0], "{}", device.name());
    }
}

#[test]
fn the_peak_of_memory_is_told() {
    // The input and three values of 8x6x6, of which at most two live at once; a device may read the input in place.
    let mut g = Builder::new();
    let x = g.conv2d("first", Value::INPUT, Conv2d::new(8, 8, 3).padding(1));
    let x = g.conv2d("second", x, Conv2d::new(8, 8, 3).padding(1));
    let x = g.conv2d("third", x, Conv2d::new(8, 8, 3).padding(1));
    let x = g.mean(x);
    let graph = g.finish(x);
    let values = graph.parameters().iter().map(|p| vec![0.1; p.shape.iter().product()]).collect();
    let mut network = model().network().clone();
    network.graph = graph;
    let (model, shape) = (Model::from_weights(network, values).unwrap(), Shape::new(8, 6, 6));
    let value = 4 * shape.elements() as u64;
    for device in devices() {
        let bytes = [1, 2, 5].map(|batch| {
            Session::new(&device, &model, shape, &SessionOptions::default().max_batch(batch))
                .unwrap()
                .activation_bytes()
        });
        assert!(bytes[0] >= 2 * value && bytes[0] <= 4 * value, "{}: {bytes:?}", device.name());
        // The CPU runs four at a time, and has memory for no more.
        let five = if device.is_cpu() { 4 } else { 5 };
        assert_eq!([bytes[1], bytes[2]], [2 * bytes[0], five * bytes[0]], "{}", device.name());
    }
}

/// The CPU stores numbers as f32 only, however fast it is.
#[test]
fn the_fastest_device_runs_at_the_precision_that_is_asked_for() {
    let model = model();
    for precision in [Precision::F32, Precision::F16] {
        let fastest = Device::fastest(&model, SHAPE, 1, precision, CpuOptions::default(), None);
        let device = match fastest {
            // A software adapter is none that is taken without being named.
            Err(Error::Device { reason, .. }) if precision == Precision::F16 => {
                assert!(reason.contains("there is no GPU"), "{reason}");
                continue;
            }
            device => device.unwrap(),
        };
        assert!(precision == Precision::F32 || !device.is_cpu(), "{}", device.name());
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().precision(precision)).unwrap();
        assert_eq!(session.run(&images(SHAPE, 1)).unwrap().len(), session.outputs());
    }
}

#[test]
fn any_batch_up_to_256_gives_what_its_images_give_alone() {
    let (model, shape) = (model(), Shape::new(3, 17, 19));
    let all = images(shape, 256);
    for device in devices() {
        let session = Session::new(&device, &model, shape, &SessionOptions::default().max_batch(256)).unwrap();
        let alone: Vec<f32> = all.chunks(shape.elements()).flat_map(|image| session.run(image).unwrap()).collect();
        for count in [1, 2, 3, 17, 64, 256] {
            let last = &all[(256 - count) * shape.elements()..];
            let logits = session.run(last).unwrap();
            assert!(relative_error(&logits, &alone[(256 - count) * 4..]) <= 1e-6, "{count} on {}", device.name());
        }
    }
}

#[test]
fn a_profile_has_every_step_and_its_work() {
    let network = ShuffleNetV2::by_name("shufflenetv2_x0_5", 10).unwrap().network();
    let values = network.graph.parameters().iter().map(|p| vec![0.1; p.shape.iter().product()]).collect();
    let model = Model::from_weights(network, values).unwrap();
    let shape = Shape::new(3, 64, 64);
    for device in devices() {
        let session = Session::new(&device, &model, shape, &SessionOptions::default().max_batch(2)).unwrap();
        let steps = session.profile(&images(shape, 2)).unwrap();
        // The CPU computes the first convolution and the pool behind it, 3x3 comparisons an output, in one step. GPUs may
        // compute a depthwise convolution and the 1x1 one after it in one.
        let (steps_of_all, side, compared) = if device.is_cpu() { (58, 16, 9 * 24 * 16 * 16 * 2) } else { (59, 32, 0) };
        let separable = steps.iter().filter(|step| step.kernel == "separable_sliced").count();
        assert_eq!(steps.len() + separable, steps_of_all, "{}", device.name());
        // 3x3 kernels of 3 inputs for 24 outputs of 32x32 pixels and 2 images; a multiplication and an addition each.
        assert_eq!(steps[0].operations, 2 * 27 * 24 * 32 * 32 * 2 + compared);
        let first = (steps[0].name.as_str(), steps[0].output, steps[0].batch);
        assert_eq!(first, ("conv1.0", Shape::new(24, side, side), 2));
        assert_eq!(steps[0].bytes, 4 * (2 * (3 * 64 * 64 + 24 * side * side) as u64 + 24 * 28));
        assert!(steps.iter().map(|step| step.time).sum::<std::time::Duration>().as_nanos() > 0);
    }
}

#[test]
fn a_device_that_is_lost_is_an_error_and_can_be_opened_again() {
    let model = model();
    for name in gpus().iter().map(Device::name) {
        let open = || Device::open(&DeviceChoice::Named(name.clone())).unwrap();
        let device = open();
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
        let image = images(SHAPE, 1);
        let expected = session.run(&image).unwrap();
        let under_way = session.submit(&image).unwrap();
        device.close();
        // What was under way may have come through.
        if let Err(error) = under_way.wait() {
            assert!(matches!(error, Error::Device { .. }), "{error}");
        }
        for _ in 0..3 {
            let error = session.run(&image).unwrap_err();
            assert!(error.kind() == ErrorKind::DeviceLost && error.to_string().contains("lost"), "{error}");
        }
        assert!(matches!(Session::new(&device, &model, SHAPE, &SessionOptions::default()), Err(Error::Device { .. })));
        let again = Session::new(&open(), &model, SHAPE, &SessionOptions::default()).unwrap().run(&image).unwrap();
        assert_eq!(again, expected);
    }
}

#[test]
fn a_device_may_be_closed_while_threads_run_and_build_sessions() {
    let (model, image) = (model(), images(SHAPE, 1));
    for name in gpus().iter().map(Device::name) {
        let device = Device::open(&DeviceChoice::Named(name.clone())).unwrap();
        let expected = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap().run(&image).unwrap();
        let until_it_fails = |build: bool| -> pretrained::Result<()> {
            let mut session = Session::new(&device, &model, SHAPE, &SessionOptions::default())?;
            loop {
                if build {
                    session = Session::new(&device, &model, SHAPE, &SessionOptions::default())?;
                }
                let tickets = [session.submit(&image)?, session.submit(&image)?];
                for ticket in tickets {
                    assert_eq!(ticket.wait()?, expected);
                }
            }
        };
        std::thread::scope(|scope| {
            let threads = [false, false, true].map(|build| scope.spawn(move || until_it_fails(build)));
            std::thread::sleep(std::time::Duration::from_millis(200));
            device.close();
            for thread in threads {
                let error = thread.join().unwrap().unwrap_err();
                assert!(matches!(error, Error::Device { .. }), "{error}");
            }
        });
    }
}

#[test]
fn devices_are_opened_and_dropped_side_by_side() {
    let rounds = std::env::var("PRETRAINED_RUNS").map_or(8, |runs| runs.parse().unwrap());
    for name in gpus().iter().map(Device::name) {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        Device::open(&DeviceChoice::Named(name.clone())).unwrap();
                    }
                });
            }
        });
    }
}

#[test]
fn what_was_compiled_is_kept_and_a_file_that_is_no_good_is_replaced() {
    let (model, image) = (model(), images(SHAPE, 1));
    for name in gpus().iter().map(Device::name) {
        let folder = tempfile::tempdir().unwrap();
        let run = |keep: bool| {
            let device = Device::open(&DeviceChoice::Named(name.clone())).unwrap();
            if keep {
                device.keep_kernels(&folder.path().join("new"));
            }
            Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap().run(&image).unwrap()
        };
        let expected = run(false);
        assert_eq!(run(true), expected, "{name}");
        let files =
            || std::fs::read_dir(folder.path().join("new")).into_iter().flatten().map(|file| file.unwrap().path());
        assert_eq!(files().count(), usize::from(name.contains("(Vulkan)") && !common::encoded()), "{name}");
        for file in files() {
            let kept = std::fs::read(&file).unwrap();
            let written = || file.metadata().unwrap().modified().unwrap();
            let first = written();
            assert_eq!((run(true), written()), (expected.clone(), first), "{name} wrote what was there");
            let flipped = |at: usize| kept.iter().enumerate().map(|(i, byte)| byte ^ u8::from(i == at)).collect();
            let foreign = b"WGPUPLCH".iter().copied().cycle().take(200).collect();
            for damaged in [vec![], kept[..kept.len() / 2].to_vec(), flipped(kept.len() / 2), flipped(9), foreign] {
                std::fs::write(&file, &damaged).unwrap();
                assert_eq!(run(true), expected, "{name}");
                assert!(std::fs::read(&file).unwrap() != damaged, "{name} left a file that is no good");
            }
        }
        // Where nothing can be written, all goes on.
        let device = Device::open(&DeviceChoice::Named(name.clone())).unwrap();
        let blocked = folder.path().join("a file");
        std::fs::write(&blocked, "").unwrap();
        device.keep_kernels(&blocked);
        assert_eq!(
            Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap().run(&image).unwrap(),
            expected,
            "{name}"
        );
    }
    Device::cpu().keep_kernels(std::path::Path::new("/no/such/folder"));
}

/// Whether this process runs this test only, and nothing else takes memory here. If not, one that does has passed it.
fn alone(test: &str) -> bool {
    const ALONE: &str = "PRETRAINED_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    assert!(alone.status().unwrap().success());
    false
}

/// What the kernel says of this process, in KiB.
#[cfg(target_os = "linux")]
fn status(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_lack_of_memory_is_an_error_and_the_session_can_be_made_again() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // A session of so many images has several buffers of tens of MiB, none of which fits what is left.
    const BATCH: usize = 2500;
    const LEFT: usize = 24 << 20;
    if !alone("a_lack_of_memory_is_an_error_and_the_session_can_be_made_again") {
        return;
    }
    let (model, image) = (model(), images(SHAPE, 1));
    let unlimited = getrlimit(Resource::As);
    for device in gpus() {
        let session = || Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(BATCH));
        let held = session().unwrap();
        let expected = held.run(&image).unwrap();
        let most = (status("VmSize:") << 10) + LEFT;
        setrlimit(Resource::As, Rlimit { current: Some(most as u64), ..unlimited }).unwrap();
        for _ in 0..3 {
            let error = session().unwrap_err();
            assert!(
                error.kind() == ErrorKind::DeviceMemory && error.to_string().contains("not enough memory"),
                "{error}"
            );
        }
        // The one that is there goes on, and what it gives back is enough for another.
        assert_eq!(held.run(&image).unwrap(), expected, "{}", device.name());
        drop(held);
        assert_eq!(session().unwrap().run(&image).unwrap(), expected, "{}", device.name());
        setrlimit(Resource::As, unlimited).unwrap();
    }
}

/// `PRETRAINED_RUNS` makes it longer.
#[test]
fn memory_stays_flat_over_many_runs() {
    if !alone("memory_stays_flat_over_many_runs") {
        return;
    }
    let runs = std::env::var("PRETRAINED_RUNS").map_or(2000, |runs| runs.parse().unwrap());
    let (model, shape) = (model(), Shape::new(3, 17, 19));
    let image = images(shape, 1);
    for device in gpus().into_iter().chain([Device::cpu()]) {
        let session = Session::new(&device, &model, shape, &SessionOptions::default()).unwrap();
        let run = |runs: usize| {
            for _ in 0..runs / 2 {
                let ticket = session.submit(&image).unwrap();
                session.run(&image).unwrap();
                ticket.wait().unwrap();
            }
        };
        run(runs / 4);
        let resident = || memory_stats::memory_stats().unwrap().physical_mem >> 10;
        let before = resident();
        run(runs);
        let grown = resident().saturating_sub(before);
        println!("{runs} runs on {}: {grown} KiB more", device.name());
        assert!(grown < 8 << 10, "{runs} runs on {} took {grown} KiB more", device.name());
    }
}

/// What a thread needs beside the buffers counts too: here all that a convolution computes, for a pool over all of it.
#[test]
fn memory_that_a_step_needs_is_checked_before_it_is_taken() {
    let mut g = Builder::new();
    let x = g.conv2d("conv", Value::INPUT, Conv2d::new(1, 64, 3).padding(1));
    let x = g.max_pool2d(x, MaxPool2d::new(4096));
    let shape = Shape::new(1, 4096, 4096);
    let graph = g.finish(x);
    let values = graph.parameters().iter().map(|p| vec![0.1; p.shape.iter().product()]).collect();
    let network = Network::new("pooled", graph, shape);
    let model = Model::from_weights(network, values).unwrap();
    let error = Session::new(&Device::cpu(), &model, shape, &SessionOptions::default()).unwrap_err();
    assert!(error.kind() == ErrorKind::DeviceMemory && error.to_string().contains("bytes of memory"), "{error}");
}
