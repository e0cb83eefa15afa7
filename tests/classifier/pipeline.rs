//! Pipelines: results in order, an error an image, bounded memory, and an end at any time.

use crate::common::devices;
use crate::{builder, planes};
use pretrained::pipeline::{Event, Source};
use pretrained::vision::{Levels, Limits, Planes, Preprocess, RgbImage};
use pretrained::{Classifier, Device, Error, Pipeline, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An image of a test: what its name says.
#[derive(Debug, Clone)]
struct Made(PathBuf);

impl Source for Made {
    fn name(&self) -> &Path {
        &self.0
    }

    fn prepare(&self, _: &Limits, _: &Preprocess) -> Result<Planes> {
        let name = self.0.to_str().unwrap();
        let number: u32 = name.split(' ').next_back().unwrap().parse().unwrap();
        if number % 7 == 3 {
            std::thread::sleep(Duration::from_millis(3));
        }
        match name.split(' ').next() {
            Some("panics") => panic!("at {number}"),
            Some("fails") => Err(Error::image(&self.0, "is none")),
            // The network takes three channels.
            Some("grey") => Ok(Planes { channels: 1, height: 8, width: 8, values: vec![0.0; 64] }),
            _ => Ok(Planes { values: vec![number as f32 / 100.0; 3 * 40 * 40], ..planes(40, 40) }),
        }
    }
}

/// Images of which some cannot be read, some panic, and some do not fit.
fn sources(count: usize) -> Vec<Made> {
    let kind = |i: usize| match i % 11 {
        4 => "panics",
        6 => "fails",
        9 => "grey",
        _ => "good",
    };
    (0..count).map(|i| Made(format!("{} {i}", kind(i)).into())).collect()
}

fn classifier(device: &Device) -> Classifier {
    builder(device).max_batch(4).build().unwrap()
}

#[test]
fn results_come_in_order_and_errors_are_each_images_own() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_meant = |text: &String| text.starts_with("at ");
        if !panic.payload().downcast_ref::<String>().is_some_and(is_meant) {
            usual(panic);
        }
    }));
    for device in devices() {
        let classifier = classifier(&device);
        let sources = sources(60);
        let expected: Vec<Option<Vec<f32>>> = sources
            .iter()
            .map(|source| {
                let is_good = source.0.to_str().unwrap().starts_with("good");
                is_good.then(|| {
                    classifier.run(&[source.prepare(&Limits::default(), classifier.preprocess()).unwrap()]).unwrap()
                })
            })
            .collect();
        for (threads, batch, first_alone, count) in [
            (1, 4, true, 60),
            (2, 4, true, 60),
            (3, 1, false, 60),
            (8, 16, false, 60),
            (2, 4, true, 1),
            (2, 4, false, 0),
            (1, 1, true, 7),
        ] {
            let pipeline = Pipeline::new(&classifier).threads(threads).batch(batch).first_alone(first_alone);
            let found: Vec<_> = pipeline.run(sources[..count].to_vec()).collect();
            assert_eq!(found.len(), count, "{threads} threads on {}", device.name());
            for ((outcome, source), expected) in found.iter().zip(&sources).zip(&expected) {
                let name = outcome.source.0.to_str().unwrap();
                assert_eq!(outcome.source.0, source.0);
                match (&outcome.outputs, expected) {
                    (Ok(found), Some(expected)) => {
                        assert!(crate::relative_error(found, expected) <= 1e-6, "{name} on {}", device.name());
                    }
                    (Err(error), None) => {
                        let error = error.to_string();
                        let says = match name.split(' ').next() {
                            Some("panics") => "for a bug in pretrained: at ",
                            Some("fails") => "is none",
                            _ => "channels",
                        };
                        assert!(error.contains(says), "{name}: {error}");
                    }
                    (found, _) => panic!("{name}: {found:?}"),
                }
            }
        }
    }
}

#[test]
fn a_batch_that_fails_as_a_whole_runs_one_by_one() {
    let classifier = classifier(&Device::cpu());
    let failed = Arc::new(Mutex::new(Vec::new()));
    let seen = failed.clone();
    let pipeline = Pipeline::new(&classifier).threads(2).on_event(move |event| {
        if let Event::Failed { images, .. } = event {
            seen.lock().unwrap().push(images);
        }
    });
    let names = ["good 0", "grey 1", "good 2", "good 4", "good 5"];
    let found: Vec<bool> =
        pipeline.run(names.map(|name| Made(name.into()))).map(|outcome| outcome.outputs.is_ok()).collect();
    assert_eq!(found, [true, false, true, true, true]);
    assert_eq!(*failed.lock().unwrap(), [4]);
}

#[test]
fn threads_do_not_run_far_ahead_and_stop_when_nobody_waits() {
    for threads in [1, 2, 4] {
        let classifier = classifier(&Device::cpu());
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let endless = (0..).map(move |i| {
            count.fetch_add(1, SeqCst);
            Made(format!("good {i}").into())
        });
        let mut results = Pipeline::new(&classifier).threads(threads).run(endless);
        for given in 1..=20 {
            assert!(results.next().unwrap().outputs.is_ok());
            std::thread::sleep(Duration::from_millis(2));
            // Batches of four: those that run, one that is gathered, one that is given out, and an image a thread.
            assert!(taken.load(SeqCst) <= given + 4 * (threads + 2) + threads, "{threads} threads");
        }
        drop(results);
        let at_end = taken.load(SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(taken.load(SeqCst), at_end, "threads went on");
    }
}

/// An image that is there when the others, which are later, have long been.
#[derive(Debug, Clone)]
struct Slow {
    name: PathBuf,
    is_first: bool,
    later: Arc<AtomicUsize>,
}

impl Source for Slow {
    fn name(&self) -> &Path {
        &self.name
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        if self.is_first {
            let began = Instant::now();
            while self.later.load(SeqCst) < 3 && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Time to submit them.
            std::thread::sleep(Duration::from_millis(100));
        } else {
            self.later.fetch_add(1, SeqCst);
        }
        Made("good 1".into()).prepare(limits, preprocess)
    }
}

#[test]
fn later_batches_do_not_keep_the_device_from_an_image_that_took_long() {
    for device in devices() {
        let classifier = classifier(&device);
        let later = Arc::new(AtomicUsize::new(0));
        let source = |i: usize| Slow { name: i.to_string().into(), is_first: i == 0, later: later.clone() };
        let results = Pipeline::new(&classifier).threads(3).batch(1).run((0..8).map(source).collect::<Vec<_>>());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(results.map(|outcome| outcome.source.name).collect::<Vec<_>>()));
        let names = told.recv_timeout(Duration::from_secs(60)).expect("a batch is never run");
        assert_eq!(names, (0..8).map(|i| PathBuf::from(i.to_string())).collect::<Vec<_>>(), "{}", device.name());
    }
}

#[test]
fn a_canceller_ends_the_results_from_another_thread() {
    for threads in [1, 3] {
        let classifier = classifier(&Device::cpu());
        let results = Pipeline::new(&classifier).threads(threads).run((0..).map(|i| Made(format!("good {i}").into())));
        let canceller = results.canceller();
        let watch = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            canceller.cancel();
        });
        // It ends, though the images do not.
        assert!(results.count() < 1_000_000);
        watch.join().unwrap();
    }
}

#[test]
fn events_count_all_images_and_the_first_batch_is_profiled() {
    let classifier = classifier(&Device::cpu());
    let counts = Arc::new([const { AtomicUsize::new(0) }; 4]);
    let seen = counts.clone();
    let pipeline = Pipeline::new(&classifier).threads(2).profile(true).on_event(move |event| match event {
        Event::Prepared { is_sound, .. } => drop(seen[usize::from(is_sound)].fetch_add(1, SeqCst)),
        Event::Ran { images, .. } => drop(seen[2].fetch_add(images, SeqCst)),
        Event::Profiled(steps) => drop(seen[3].fetch_add(usize::from(!steps.unwrap().is_empty()), SeqCst)),
        _ => {}
    });
    let names = ["good 0", "fails 1", "good 2", "good 4", "good 5"];
    assert_eq!(pipeline.run(names.map(|name| Made(name.into()))).count(), 5);
    assert_eq!(counts.each_ref().map(|count| count.load(SeqCst)), [1, 4, 4, 1]);
}

#[test]
fn a_panic_of_the_iterator_is_the_callers() {
    let classifier = classifier(&Device::cpu());
    for threads in [1, 2] {
        let sources = (0..9).map(|i| if i < 5 { Made(format!("good {i}").into()) } else { panic!("no more") });
        let mut results = Pipeline::new(&classifier).threads(threads).run(sources);
        let all = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| results.by_ref().count()));
        assert!(all.is_err());
    }
}

/// A picture that is prepared either way, and counts how often it was.
#[derive(Debug, Clone)]
struct Either {
    picture: (PathBuf, RgbImage),
    /// Whether it has levels.
    has_levels: bool,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Source for Either {
    fn name(&self) -> &Path {
        &self.picture.0
    }

    fn prepare(&self, limits: &Limits, preprocess: &Preprocess) -> Result<Planes> {
        self.counts[0].fetch_add(1, SeqCst);
        self.picture.prepare(limits, preprocess)
    }

    fn prepare_levels(&self, limits: &Limits, preprocess: &Preprocess) -> Option<Result<Levels>> {
        self.has_levels.then(|| self.counts[1].fetch_add(1, SeqCst))?;
        self.picture.prepare_levels(limits, preprocess)
    }
}

/// Levels go to devices that normalise, and what comes of them is what comes of planes, also in one batch.
#[test]
fn levels_and_planes_give_the_same() {
    for device in devices() {
        let classifier = classifier(&device);
        let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let source = |i: u32| Either {
            picture: (i.to_string().into(), crate::image(40 + i, 40)),
            has_levels: !i.is_multiple_of(3),
            counts: counts.clone(),
        };
        let sources: Vec<Either> = (0..10).map(source).collect();
        let found: Vec<_> = Pipeline::new(&classifier).threads(2).profile(true).run(sources.clone()).collect();
        let counted = counts.each_ref().map(|count| count.load(SeqCst));
        // SwiftShader runs the kernels of real GPUs, and those take levels.
        let takes = counted[1] > 0;
        assert!(takes || !device.name().contains("SwiftShader"), "{}", device.name());
        assert_eq!(counted, if takes { [4, 6] } else { [10, 0] }, "{}", device.name());
        for (outcome, source) in found.iter().zip(&sources) {
            let planes = classifier.preprocess().apply(&source.picture.1).unwrap();
            let expected = classifier.run(&[planes]).unwrap();
            let found = outcome.outputs.as_ref().unwrap();
            assert!(crate::relative_error(found, &expected) <= 1e-5, "{:?} on {}", source.picture.0, device.name());
        }
    }
}

#[test]
fn files_bytes_and_pixels_are_sources() {
    let classifier = Classifier::builder().weights(crate::CIFAR10).device(Device::cpu()).build().unwrap();
    let file = PathBuf::from("examples/images/ship.png");
    let bytes = std::fs::read(&file).unwrap();
    let pixels = pretrained::vision::decode_file(&file, &Limits::default()).unwrap();
    let pipeline = Pipeline::new(&classifier);
    let of_file = pipeline.run([file.clone()]).next().unwrap().outputs.unwrap();
    let of_bytes = pipeline.run([(file.clone(), bytes::Bytes::from(bytes))]).next().unwrap().outputs.unwrap();
    let of_pixels = pipeline.run([(file, pixels)]).next().unwrap().outputs.unwrap();
    assert_eq!(of_file, of_bytes);
    assert_eq!(of_file, of_pixels);
    assert_eq!(classifier.top_k(&of_file, 1).unwrap()[0].label.as_deref(), Some("ship"));
}
