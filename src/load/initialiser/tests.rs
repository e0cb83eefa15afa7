//! Distributions against PyTorch's own numbers, and samples against the distributions.

use super::*;
use crate::graph::{BatchNorm2d, Builder, Conv2d, Linear, Value};

/// What PyTorch draws from, as tests/frameworks/initialisers.py prints it.
const PYTORCH: [(&str, &[usize], &str, f64, f64); 23] = [
    ("xavier_uniform", &[10, 512], "uniform", -0.10721125348377948, 0.10721125348377948),
    ("xavier_uniform", &[64, 3, 7, 7], "uniform", -0.04275040011889855, 0.04275040011889855),
    ("xavier_uniform", &[58, 1, 3, 3], "uniform", -0.10629880069054676, 0.10629880069054676),
    ("glorot_uniform:1.5", &[10, 512], "uniform", -0.1608168802256692, 0.1608168802256692),
    ("xavier_uniform:1.5", &[64, 3, 7, 7], "uniform", -0.06412560017834783, 0.06412560017834783),
    ("xavier_uniform:1.5", &[58, 1, 3, 3], "uniform", -0.15944820103582014, 0.15944820103582014),
    ("xavier_normal", &[10, 512], "normal", 0.0, 0.06189844605901729),
    ("glorot_normal", &[64, 3, 7, 7], "normal", 0.0, 0.024681955016610288),
    ("xavier_normal", &[58, 1, 3, 3], "normal", 0.0, 0.061371641193221554),
    ("kaiming_uniform", &[10, 512], "uniform", -0.10825317547305482, 0.10825317547305482),
    ("kaiming_uniform", &[64, 3, 7, 7], "uniform", -0.20203050891044216, 0.20203050891044216),
    ("he_uniform", &[58, 1, 3, 3], "uniform", -0.816496580927726, 0.816496580927726),
    ("kaiming_uniform:0.2,fan_out", &[10, 512], "uniform", -0.7595545253127498, 0.7595545253127498),
    ("kaiming_uniform:0.2,fan_out", &[64, 3, 7, 7], "uniform", -0.042891469769219766, 0.042891469769219766),
    ("kaiming_uniform:0.2,fan_out", &[58, 1, 3, 3], "uniform", -0.105129283382795, 0.105129283382795),
    ("kaiming_normal", &[10, 512], "normal", 0.0, 0.0625),
    ("kaiming_normal", &[64, 3, 7, 7], "normal", 0.0, 0.11664236870396087),
    ("he_normal", &[58, 1, 3, 3], "normal", 0.0, 0.47140452079103173),
    ("kaiming_normal:0.2,fan_out", &[10, 512], "normal", 0.0, 0.43852900965351455),
    ("kaiming_normal:0.2,fan_out", &[64, 3, 7, 7], "normal", 0.0, 0.024763401617197728),
    ("kaiming_normal:0.2,fan_out", &[58, 1, 3, 3], "normal", 0.0, 0.06069642006076914),
    ("uniform", &[10, 512], "uniform", 0.0, 1.0),
    ("normal", &[10], "normal", 0.0, 1.0),
];

fn parse(text: &str) -> Initialiser {
    text.parse().unwrap()
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
}

fn assert_uniform(found: Distribution, expected: [f64; 2]) {
    let Distribution::Uniform { low, high } = found else { panic!("{found:?} is not uniform") };
    assert_close(low, expected[0]);
    assert_close(high, expected[1]);
}

#[test]
fn bounds_and_deviations_are_pytorchs() {
    for (text, shape, kind, a, b) in PYTORCH {
        match (kind, parse(text).distribution(shape).unwrap()) {
            ("uniform", found) => assert_uniform(found, [a, b]),
            ("normal", Distribution::Normal { mean, std }) => {
                assert_close(mean, a);
                assert_close(std, b);
            }
            (_, found) => panic!("{text}: {found:?} is not {kind}"),
        }
    }
}

#[test]
fn layers_start_as_pytorchs_do() {
    let mut g = Builder::new();
    let x = g.conv2d("conv", Value::INPUT, Conv2d::new(3, 64, 7));
    let x = g.batch_norm2d("bn", x, BatchNorm2d::new(64));
    let x = g.mean(x);
    let x = g.linear("fc", x, Linear::new(64, 512));
    let x = g.linear("last", x, Linear::new(512, 10));
    let graph = g.finish(x);
    let drawn = |initialiser| -> Vec<Distribution> {
        let chosen = of_graph(&graph, initialiser);
        chosen.iter().zip(graph.parameters()).map(|(one, p)| one.distribution(&p.shape).unwrap()).collect()
    };
    let found = drawn(Initialiser::LayerDefault);
    // PyTorch's own, by the same script.
    for (at, bound) in [(0, 0.08247860988423224), (1, 0.08247860988423224), (6, 0.125), (8, 0.04419417382415921)] {
        assert_uniform(found[at], [-bound, bound]);
    }
    assert_uniform(found[9], [-0.044194173824159216, 0.044194173824159216]);
    let norm = [1.0, 0.0, 0.0, 1.0].map(Distribution::Constant);
    assert_eq!(found[2..6], norm);

    // A bias has no fan, and batch normalisation is left alone.
    let found = drawn(parse("kaiming_normal"));
    assert!(matches!(found[0], Distribution::Normal { .. }) && found[1] == Distribution::Constant(0.0));
    let found = drawn(parse("normal:0,0.5"));
    assert_eq!((found[1], &found[2..6]), (Distribution::Normal { mean: 0.0, std: 0.5 }, &norm[..]));
}

/// How many numbers are drawn: the mean of so many is within a deviation's 1/1000 or so.
const MANY: usize = 1_000_000;

fn sample(text: &str) -> Vec<f64> {
    let shape = [1000, 40, 5, 5];
    let values = parse(text).values("w", &shape, 11).unwrap();
    assert_eq!(values.len(), MANY);
    values.into_iter().map(f64::from).collect()
}

/// The share of numbers up to `x`.
fn share(sample: &[f64], x: f64) -> f64 {
    sample.iter().filter(|value| **value <= x).count() as f64 / sample.len() as f64
}

/// Asserts mean and deviation to within five standard errors of so many numbers, and that none is beyond `bound`.
fn assert_moments(text: &str, mean: f64, std: f64, bound: f64) {
    let sample = sample(text);
    let n = sample.len() as f64;
    let found = sample.iter().sum::<f64>() / n;
    let variance = sample.iter().map(|value| (value - found).powi(2)).sum::<f64>() / n;
    assert!((found - mean).abs() < 5.0 * std / n.sqrt(), "{text}: the mean is {found}, not {mean}");
    // A normal deviation's standard error is std / sqrt(2 n); those of the others are smaller.
    assert!((variance.sqrt() / std - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{text}: {} not {std}", variance.sqrt());
    let furthest = sample.iter().fold(0f64, |furthest, value| furthest.max((value - mean).abs()));
    assert!(furthest <= bound * (1.0 + 1e-6), "{text}: {furthest} is beyond {bound}");
    assert!(bound.is_infinite() || furthest > 0.99 * bound, "{text}: {furthest} stays below {bound}");
}

#[test]
fn samples_have_the_moments_of_their_distribution() {
    let third = 1.0 / 3f64.sqrt();
    assert_moments("uniform:-1,3", 1.0, 2.0 * third, 2.0);
    assert_moments("normal:0.5,0.02", 0.5, 0.02, f64::INFINITY);
    assert_moments("truncated_normal:0.5,0.02", 0.5, 0.02 * STD_WITHIN_TWO, 0.04);
    // Fans of the shape are 1,000 and 25,000.
    let std = (2.0 / 1000f64).sqrt();
    assert_moments("kaiming_uniform", 0.0, std, std * 3f64.sqrt());
    assert_moments("kaiming_normal", 0.0, std, f64::INFINITY);
    let std = (2.0 / 26_000f64).sqrt();
    assert_moments("xavier_uniform", 0.0, std, std * 3f64.sqrt());
    assert_moments("xavier_normal", 0.0, std, f64::INFINITY);
    // What is cut off is made up for: all three have the variance that is asked for.
    let std = (2.0 / 1000f64).sqrt();
    assert_moments("variance_scaling:2", 0.0, std, 2.0 * std / STD_WITHIN_TWO);
    assert_moments("variance_scaling:2,fan_in,untruncated_normal", 0.0, std, f64::INFINITY);
    let std = (1.0 / 25_000f64).sqrt();
    assert_moments("variance_scaling:1,fan_out,uniform", 0.0, std, std * 3f64.sqrt());
    let std = (1.0 / 13_000f64).sqrt();
    assert_moments("variance_scaling:1,fan_avg,uniform", 0.0, std, std * 3f64.sqrt());
    assert!(sample("ones").iter().all(|value| *value == 1.0));
    assert!(sample("constant:-0.25").iter().all(|value| *value == -0.25));
}

#[test]
fn samples_have_the_shape_of_their_distribution() {
    // Five standard errors of a share near a half.
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.0025, "{found} is not {expected}");
    let uniform = sample("uniform");
    let normal = sample("normal");
    let truncated = sample("truncated_normal");
    // The standard normal distribution up to -2, -1, -0.5, 0, 0.5, 1 and 2.
    let phi = [0.022750, 0.158655, 0.308538, 0.5, 0.691462, 0.841345, 0.977250];
    for (x, phi) in [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0].into_iter().zip(phi) {
        near(share(&normal, x), phi);
        near(share(&truncated, x), (phi - 0.022750) / 0.954500);
    }
    for x in [0.1, 0.25, 0.5, 0.75, 0.9] {
        near(share(&uniform, x), x);
    }
    // Neighbours have nothing to do with each other.
    let products = normal.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / MANY as f64;
    assert!(products.abs() < 0.005, "{products}");
}

#[test]
fn a_seed_and_a_name_say_all() {
    let draw = |name, shape: &[usize], seed| parse("normal").values(name, shape, seed).unwrap();
    let first = draw("fc.weight", &[4, 3], 7);
    assert_eq!(first, draw("fc.weight", &[4, 3], 7));
    for other in [draw("fc.weight", &[4, 3], 8), draw("fc.bias", &[4, 3], 7)] {
        assert!(first.iter().zip(&other).all(|(a, b)| a != b), "{first:?} {other:?}");
    }
    // For good: whoever changes these numbers changes what every seed means. An independent ChaCha8, with 7 as its key
    // and the name's hash as its nonce, gave the same.
    assert_eq!(first[..4], [-0.533911, 0.43132773, -0.9075664, -0.3645954]);
    assert_eq!(parse("uniform").values("fc.weight", &[2], 7).unwrap(), [0.5235127, 0.32224202]);
}

#[test]
fn text_and_back() {
    for text in [
        "default",
        "zeros",
        "ones",
        "constant:0.1",
        "uniform:-0.5,0.5",
        "normal:0,0.02",
        "truncated_normal:1,2",
        "xavier_uniform:1",
        "xavier_normal:2",
        "kaiming_uniform:0,fan_in",
        "kaiming_normal:2.23606797749979,fan_out",
        "variance_scaling:2,fan_avg,untruncated_normal",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
    assert_eq!(parse("variance_scaling").to_string(), "variance_scaling:1,fan_in,truncated_normal");
    assert_eq!(parse("He_Normal: 0.1 , fan_out").to_string(), "kaiming_normal:0.1,fan_out");
    for text in ["", "nomral", "constant", "constant:", "constant:x", "normal:0,1,2", "zeros:1", "uniform:inf"] {
        assert!(text.parse::<Initialiser>().is_err(), "{text}");
    }
    let error = "kaiming_normal:0,fan".parse::<Initialiser>().unwrap_err().to_string();
    assert!(error.contains("\"fan\" is none of fan_in, fan_out, fan_avg"), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for text in
        ["uniform:1,0", "normal:0,-1", "truncated_normal:0,-1", "constant:1e39", "normal:0,1e38", "xavier_normal:1e200"]
    {
        let error = parse(text).tensor("fc.weight", &[2, 2], 0).unwrap_err().to_string();
        assert!(error.starts_with("fc.weight: ") && error.contains("makes no sense"), "{text}: {error}");
    }
    assert!(parse("variance_scaling:-1").tensor("w", &[2, 2], 0).is_err());
    for shape in [&[][..], &[3]] {
        let error = parse("he_normal").tensor("fc.bias", shape, 0).unwrap_err().to_string();
        assert!(error.contains("two axes or more"), "{error}");
    }
    assert!(parse("zeros").tensor("w", &[usize::MAX, 2], 0).is_err());
    assert!(parse("default").tensor("w", &[2, 2], 0).is_err());
    assert_eq!(parse("he_normal").tensor("w", &[0, 4], 0).unwrap().element_count(), 0);
    assert_eq!(parse("normal").tensor("w", &[], 0).unwrap().element_count(), 1);
}
