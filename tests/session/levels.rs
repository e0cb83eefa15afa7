//! Images that come as levels: the same results as of the numbers that they become, on every device.

use crate::common::{devices, relative_error};
use crate::{SHAPE, images, model};
use pretrained::graph::{Activation, Builder, Conv2d, Linear, Shape, Value};
use pretrained::vision::Normalisation;
use pretrained::zoo::Network;
use pretrained::{Error, Model, Precision, Session, SessionOptions};

const SCALE: [f32; 3] = [0.011, 0.012, 0.013];
const SHIFT: [f32; 3] = [-1.3, -1.2, -1.1];

fn normalisation() -> Normalisation {
    Normalisation::new(SCALE.into(), SHIFT.into()).unwrap()
}

fn options() -> SessionOptions {
    SessionOptions::default().max_batch(3).levels(normalisation())
}

/// Images of levels, and the numbers that they become.
fn batch(shape: Shape, count: usize, seed: usize) -> (Vec<u8>, Vec<f32>) {
    let levels: Vec<u8> = (0..count * shape.elements()).map(|i| ((i * 31 + seed * 57) % 256) as u8).collect();
    let channel = |i: usize| i / shape.pixels() % shape.channels;
    let number = |(i, level): (usize, &u8)| f32::from(*level) * SCALE[channel(i)] + SHIFT[channel(i)];
    let numbers = levels.iter().enumerate().map(number).collect();
    (levels, numbers)
}

/// A network of `build`, with weights that differ from each other.
fn network(shape: Shape, build: impl Fn(&mut Builder) -> Value) -> Model {
    let mut g = Builder::new();
    let output = build(&mut g);
    let graph = g.finish(output);
    let weight = |i: usize| (i * 37 % 101) as f32 / 50.0 - 0.9;
    let values = graph.parameters().iter().map(|p| (0..p.shape.iter().product()).map(weight).collect());
    let values = values.collect();
    Model::from_weights(Network::new("made", graph, shape), values).unwrap()
}

/// Networks of which each reads the input in another way: once, as a device likes it; in another order, and a channel twice;
/// twice; before an activation; and as a vector.
fn networks() -> Vec<(Model, Shape)> {
    let odd = Shape::new(3, 5, 7);
    let picked = network(odd, |g| {
        let parts = [2, 0, 2].map(|channel| g.narrow(Value::INPUT, channel, 1));
        let x = g.concat(&parts);
        g.conv2d("conv", x, Conv2d::new(3, 9, 3).padding(1))
    });
    let twice = network(odd, |g| {
        let conv = Conv2d::new(3, 6, 3).padding(1);
        let (a, b) = (g.conv2d("a", Value::INPUT, conv), g.conv2d("b", Value::INPUT, conv));
        g.add(a, b)
    });
    let activated = network(odd, |g| {
        let x = g.activation(Value::INPUT, Activation::Relu);
        g.conv2d("conv", x, Conv2d::new(3, 5, 1))
    });
    let vector = network(odd, |g| {
        let x = g.flatten(Value::INPUT);
        g.linear("fc", x, Linear::new(odd.elements(), 4))
    });
    let pixel = Shape::new(3, 1, 1);
    let single = network(pixel, |g| g.conv2d("conv", Value::INPUT, Conv2d::new(3, 5, 3).padding(1)));
    let large = (model(), SHAPE);
    vec![large, (picked, odd), (twice, odd), (activated, odd), (vector, odd), (single, pixel)]
}

#[test]
fn levels_give_what_their_numbers_give() {
    for device in devices() {
        for (index, (model, shape)) in networks().into_iter().enumerate() {
            for precision in [Precision::F32, Precision::F16] {
                if device.is_cpu() && precision == Precision::F16 {
                    continue;
                }
                let session = Session::new(&device, &model, shape, &options().precision(precision)).unwrap();
                let plain = SessionOptions::default().max_batch(3).precision(precision);
                let plain = Session::new(&device, &model, shape, &plain).unwrap();
                // One after the other, so that each finds what another left in the memory that they share.
                for (seed, count) in [3, 1, 2, 2, 3].into_iter().enumerate() {
                    let (levels, numbers) = batch(shape, count, seed);
                    let expected = plain.run(&numbers).unwrap();
                    let name = format!("{count} of network {index} in {precision} on {}", device.name());
                    for found in [session.run_levels(&levels).unwrap(), session.run(&numbers).unwrap()] {
                        assert!(relative_error(&found, &expected) <= 1e-5, "{name}");
                    }
                    let again = session.run_levels(&levels).unwrap();
                    assert!(relative_error(&again, &expected) <= 1e-5, "{name}");
                }
            }
        }
    }
}

#[test]
fn batches_of_levels_and_of_numbers_are_under_way_together() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &options()).unwrap();
        let batches: Vec<_> = (0..6).map(|i| batch(SHAPE, 1 + i % 3, i)).collect();
        let expected: Vec<_> = batches.iter().map(|(_, numbers)| session.run(numbers).unwrap()).collect();
        let check = |found: Vec<Vec<f32>>| {
            for (found, expected) in found.iter().zip(&expected) {
                assert!(relative_error(found, expected) <= 1e-5, "on {}", device.name());
            }
        };
        let submit = |(i, (levels, numbers)): (usize, &(Vec<u8>, Vec<f32>))| match i % 2 {
            0 => session.submit_levels(levels).unwrap(),
            _ => session.submit(numbers).unwrap(),
        };
        for _ in 0..3 {
            let tickets: Vec<_> = batches.iter().enumerate().map(submit).collect();
            check(tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect());
        }
        let staged: Vec<_> = batches.iter().map(|(levels, _)| session.stage_levels(levels).unwrap()).collect();
        let tickets: Vec<_> = staged.into_iter().map(|staged| staged.submit().unwrap()).collect();
        check(tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect());
        assert!(!session.profile(&batches[0].1).unwrap().is_empty());
    }
}

#[test]
fn levels_that_fit_no_session_are_refused() {
    let model = model();
    for device in devices() {
        let session = Session::new(&device, &model, SHAPE, &options()).unwrap();
        for bad in [0, 1, SHAPE.elements() - 1, SHAPE.elements() + 1, 4 * SHAPE.elements()] {
            let error = session.run_levels(&vec![0; bad]).unwrap_err();
            let says = format!("a batch of {bad} levels is not 1 to 3 images of 3x33x47");
            assert!(matches!(&error, Error::Usage(text) if *text == says), "{error} on {}", device.name());
        }
        assert_eq!(session.run_levels(&vec![7; 2 * SHAPE.elements()]).unwrap().len(), 8);

        let plain = Session::new(&device, &model, SHAPE, &SessionOptions::default()).unwrap();
        let levels = vec![7; SHAPE.elements()];
        let refused = [
            plain.run_levels(&levels).unwrap_err(),
            plain.submit_levels(&levels).unwrap_err(),
            plain.stage_levels(&levels).unwrap_err(),
        ];
        for error in refused {
            assert!(error.to_string().contains("takes numbers, not levels: `SessionOptions::levels`"), "{error}");
        }
        assert_eq!(plain.run(&images(SHAPE, 1)).unwrap().len(), 4);

        let grey = Normalisation::new(vec![1.0], vec![0.0]).unwrap();
        let error = Session::new(&device, &model, SHAPE, &SessionOptions::default().levels(grey)).unwrap_err();
        assert!(error.to_string().contains("for 1 channels, and images are of 3x33x47"), "{error}");
    }
}

/// A device takes levels where one step alone reads the input, and has a kernel for them.
#[cfg(all(feature = "gpu", target_os = "linux"))]
#[test]
fn a_gpu_takes_levels_where_a_stem_alone_reads_them() {
    use pretrained::gpu::{Blueprint, Kernels};
    let takes = |(model, shape): (Model, Shape)| {
        let blueprint = Blueprint::new(&model, shape).unwrap();
        let of = |kernels, precision| {
            let steps = blueprint.steps(kernels, precision, 1).unwrap();
            steps.iter().any(|step| step.levels.is_some())
        };
        let [few, half] = [of(Kernels::Few, Precision::F32), of(Kernels::Few, Precision::F16)];
        assert_eq!([few, half], [of(Kernels::Many, Precision::F32); 2]);
        few
    };
    let found: Vec<bool> = networks().into_iter().map(takes).collect();
    assert_eq!(found, [true, true, false, false, false, true]);
}
