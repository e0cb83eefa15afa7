//! Every column of a row says the same of the activation as its formula.

use super::*;

/// Numbers on both sides of every bend, and far from it.
fn numbers() -> impl Iterator<Item = f32> {
    (-400..=400).map(|n| n as f32 / 32.0).chain([-1e4, -50.0, 50.0, 1e4])
}

#[test]
fn values_lie_where_the_row_says() {
    for (name, activation) in Activation::examples() {
        for x in numbers() {
            let y = activation.of(x);
            match activation.values() {
                Values::Clamped(low, high) => assert_eq!(y, x.max(low).min(high), "{name} of {x}"),
                Values::Between(low, high) => assert!((low..=high).contains(&y), "{name} of {x} is {y}"),
            }
        }
    }
}

/// The parts of an activation, one after the other.
fn composed(parts: &[Part], x: f32) -> f32 {
    parts.iter().fold(x, |made, part| match *part {
        Part::Scale(slope) => made * slope,
        Part::Shift(offset) => made + offset,
        Part::Apply(inner) => inner.of(made),
        Part::TimesX => made * x,
        Part::Plus(other) => made + other.of(x),
    })
}

#[test]
fn parts_compose_the_formula() {
    for (name, activation) in Activation::examples() {
        let parts = activation.parts();
        for x in numbers().filter(|_| !parts.is_empty()) {
            let (y, whole) = (composed(&parts, x), activation.of(x));
            assert!((y - whole).abs() <= 1e-6 * whole.abs().max(1.0), "{name} of {x}: {y}, {whole}");
        }
    }
}

/// Export can always write it.
#[test]
fn what_a_format_lacks_is_composed_of_what_it_has() {
    fn is_written(activation: Activation, operator: fn(Activation) -> Option<Operator>, depth: usize) -> bool {
        let parts = activation.parts();
        let inner = |part: &Part| match part {
            Part::Apply(inner) | Part::Plus(inner) => is_written(*inner, operator, depth - 1),
            _ => true,
        };
        operator(activation).is_some() || (depth > 0 && !parts.is_empty() && parts.iter().all(inner))
    }
    for (name, activation) in Activation::examples() {
        assert!(is_written(activation, |one| one.row().onnx, 4), "{name} in ONNX");
        assert!(is_written(activation, Activation::mindir, 4), "{name} in MindIR");
    }
}

#[test]
fn names_and_operators_are_of_one_row_alone() {
    let rows = Activation::ROWS;
    let once = |names: Vec<&str>| names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1);
    assert!(once(rows.iter().map(|row| row.name).collect()));
    assert!(once(rows.iter().filter_map(|row| row.onnx).map(|operator| operator.name).collect()));
    assert!(once(rows.iter().flat_map(|row| row.torch).map(|(class, _)| *class).collect()));
}

#[test]
fn settings_keep_their_order() {
    for (name, activation) in Activation::examples() {
        let row = activation.row();
        assert_eq!((row.name, &activation.settings()[..row.example.len()]), (name, row.example));
    }
    let read = |name: &str| Ok::<_, ()>(if name == "min_val" { -1.0 } else { 2.0 });
    let clamp = Activation::of_torch("Hardtanh", read);
    assert_eq!(clamp, Some(Ok(Activation::Clamp { low: -1.0, high: 2.0 })));
    assert_eq!(Activation::of_torch("Hardsigmoid", read), Some(Ok(Activation::HARD_SIGMOID)));
    let hard =
        Activation::of_onnx("HardSigmoid", |name, default| Ok::<_, ()>(if name == "beta" { 0.3 } else { default }));
    assert_eq!(hard, Some(Ok(Activation::HardSigmoid { alpha: 0.2, beta: 0.3 })));
}
