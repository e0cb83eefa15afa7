//! One session for many: threads that share it, tasks that await it, and how many threads that takes.

use crate::common::devices;
use crate::{SHAPE, images, model};
use pretrained::{CpuOptions, Device, Session, SessionOptions};
#[cfg(feature = "gpu")]
use pretrained::{Model, graph::Shape, zoo::ShuffleNetV2};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// Threads of this process, where the system tells.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Batches of different images and sizes, and what each gives.
fn batches(session: &Session) -> Vec<(Vec<f32>, Vec<f32>)> {
    let all = images(SHAPE, 12);
    let batch = |i: usize| all[i * SHAPE.elements()..(i + 1 + i % 3) * SHAPE.elements()].to_vec();
    (0..8).map(batch).map(|batch| (session.run(&batch).unwrap(), batch)).map(|(found, batch)| (batch, found)).collect()
}

#[test]
fn eight_threads_share_one_session() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(3)).unwrap();
        let batches = batches(&session);
        std::thread::scope(|scope| {
            for (images, expected) in &batches {
                let session = session.clone();
                let name = device.name();
                scope.spawn(move || {
                    for round in 0..20 {
                        assert_eq!(&session.run(images).unwrap(), expected, "{name}");
                        let ticket = session.submit(images).unwrap();
                        if round % 2 == 0 {
                            assert_eq!(&ticket.wait().unwrap(), expected, "{name}");
                        }
                    }
                });
            }
        });
    }
}

/// A thousand batches that tasks await between them.
struct Awaited {
    session: Session,
    batches: Vec<(Vec<f32>, Vec<f32>)>,
    next: AtomicUsize,
    most_threads: AtomicUsize,
}

const AWAITED: usize = 1000;

async fn await_many(all: Arc<Awaited>) {
    while let i @ 0..AWAITED = all.next.fetch_add(1, SeqCst) {
        let (images, expected) = &all.batches[i % all.batches.len()];
        assert_eq!(&all.session.submit(images).unwrap().await.unwrap(), expected);
        all.most_threads.fetch_max(threads().unwrap_or(0), SeqCst);
    }
}

#[test]
fn a_thousand_batches_are_awaited_by_one_thread_while_a_timer_ticks() {
    const AT_ONCE: usize = 16;
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(3)).unwrap();
        let batches = batches(&session);
        // The timer has its turn after each task's.
        let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).enable_time().build().unwrap();
        // Whatever starts with the first awaited batch is there from here on.
        let warm = session.submit(&batches[0].0).unwrap();
        runtime.block_on(warm).unwrap();
        let before = threads();
        let all = Arc::new(Awaited { session, batches, next: AtomicUsize::new(0), most_threads: AtomicUsize::new(0) });
        let tasks: Vec<_> = (0..AT_ONCE).map(|_| runtime.spawn(await_many(all.clone()))).collect();
        let (latest, ticks) = runtime.block_on(async {
            let (mut latest, mut ticks) = (Duration::ZERO, 0);
            while !tasks.iter().all(|task| task.is_finished()) {
                let began = Instant::now();
                tokio::time::sleep(Duration::from_millis(1)).await;
                latest = latest.max(began.elapsed());
                ticks += 1;
            }
            (latest, ticks)
        });
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        // A batch takes a few milliseconds at least on a software GPU, and an executor that waits for one does not tick.
        assert!(ticks > 0 && latest < Duration::from_secs(1), "{}: {ticks} ticks, {latest:?} late", device.name());
        // Other tests of this process have threads too, so that this is a bound: a thread a batch would be a thousand.
        if let Some(before) = before {
            let more = all.most_threads.load(SeqCst).saturating_sub(before);
            assert!(more < 200, "{}: {more} threads were started", device.name());
        }
    }
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that is meant to panic");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_waiting() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
        let image = images(SHAPE, 1);
        let expected = session.run(&image).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for _ in 0..4 {
            let mut ticket = Box::pin(session.submit(&image).unwrap());
            let waker = Waker::from(Arc::new(Panics));
            let _ = ticket.as_mut().poll(&mut Context::from_waker(&waker));
            let next = async { tokio::time::timeout(Duration::from_secs(60), session.submit(&image).unwrap()).await };
            let found = runtime.block_on(next).unwrap_or_else(|_| panic!("{} wakes nobody", device.name()));
            assert_eq!(found.unwrap(), expected, "{}", device.name());
        }
    }
}

#[test]
fn what_is_submitted_runs_without_being_waited_for() {
    let model = model();
    let alone = CpuOptions { threads: NonZeroUsize::new(1), ..CpuOptions::default() };
    for device in devices().into_iter().chain([Device::cpu_with(alone).unwrap()]) {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
        let image = images(SHAPE, 1);
        let expected = session.run(&image).unwrap();
        let mut ticket = session.submit(&image).unwrap();
        let began = Instant::now();
        let found = loop {
            if let Some(found) = ticket.try_take().unwrap() {
                break found;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{} does not run it", device.name());
            std::thread::yield_now();
        };
        assert_eq!(found, expected, "{}", device.name());
        assert!(ticket.try_take().unwrap_err().to_string().contains("taken already"));
    }
}

#[test]
fn more_batches_in_flight_than_slots_are_kept_give_their_own_results() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default().max_batch(3)).unwrap();
        let batches = batches(&session);
        for _ in 0..2 {
            let tickets: Vec<_> = batches.iter().cycle().take(24).map(|(images, _)| session.submit(images)).collect();
            for (ticket, (_, expected)) in tickets.into_iter().zip(batches.iter().cycle()) {
                assert_eq!(&ticket.unwrap().wait().unwrap(), expected, "{}", device.name());
            }
        }
    }
}

/// The adapters of the GPUs that are tested.
#[cfg(feature = "gpu")]
fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let names: Vec<String> = crate::common::gpus().iter().map(Device::name).collect();
    adapters.retain(|adapter| names.iter().any(|name| name.starts_with(adapter.get_info().name.trim())));
    adapters
}

#[cfg(feature = "gpu")]
#[test]
fn sessions_for_other_sizes_have_the_weights_of_the_first() {
    // Four megabytes of them, in the last layer.
    let spec = ShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [5, 6, 10, 14, 1000], num_classes: 1000 };
    let weight = |i: usize| (i * 37 % 101) as f32 / 500.0;
    let model = |of: usize| {
        let network = spec.network();
        let values =
            network.graph.parameters().iter().map(|p| (0..p.shape.iter().product()).map(|i| weight(i + of)).collect());
        let values = values.collect();
        Model::from_weights(network, values).unwrap()
    };
    let (ours, other) = (model(0), model(1));
    for adapter in adapters() {
        let (own, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
        let device = Device::from_wgpu(own.clone(), queue).unwrap();
        let allocated = || own.generate_allocator_report().unwrap().total_allocated_bytes;
        let mut growth = Vec::new();
        let mut sessions = Vec::new();
        for (model, side) in [(&ours, 32), (&ours, 40), (&other, 32)] {
            let before = allocated();
            let shape = Shape::new(3, side, side);
            let session = Session::new(&device, model, shape, &SessionOptions::default()).unwrap();
            let image = images(shape, 1);
            let on_cpu = Session::new(&Device::cpu(), model, shape, &SessionOptions::default()).unwrap();
            let (found, expected) = (session.run(&image).unwrap(), on_cpu.run(&image).unwrap());
            assert!(crate::common::relative_error(&found, &expected) <= 1e-5, "{}", device.name());
            growth.push(allocated() - before);
            sessions.push(session);
        }
        let name = device.name();
        assert!(growth[0] > 4_000_000 && growth[1] < 2_000_000 && growth[2] > 4_000_000, "{growth:?} on {name}");
    }
}

/// A device that the program opened itself runs models beside the program's own work, and stays open.
#[cfg(feature = "gpu")]
#[test]
fn a_device_that_the_program_opened_runs_a_model() {
    let model = model();
    let image = images(SHAPE, 1);
    let expected =
        Session::new(&Device::cpu(), &model, SHAPE, &SessionOptions::default()).unwrap().run(&image).unwrap();
    for adapter in adapters() {
        let (own, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
        let device = Device::from_wgpu(own.clone(), queue.clone()).unwrap();
        let session = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
        let found = session.run(&image).unwrap();
        assert!(crate::common::relative_error(&found, &expected) <= 1e-5, "{}", device.name());
        device.close();
        assert!(session.run(&image).unwrap_err().to_string().contains("closed"), "{}", device.name());
        queue.submit([own.create_command_encoder(&Default::default()).finish()]);
        own.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let small = wgpu::Limits { max_compute_invocations_per_workgroup: 64, ..wgpu::Limits::default() };
        let descriptor = wgpu::DeviceDescriptor { required_limits: small, ..Default::default() };
        let (own, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        let refused = Device::from_wgpu(own, queue).unwrap_err().to_string();
        assert!(refused.contains("max_compute_invocations_per_workgroup"), "{refused}");
    }
}
