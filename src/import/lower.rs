//! Makes the graph of the steps, and the state dict of the numbers that they take.

use super::constant::Constant;
use super::memory::Memory;
use super::steps::{Kind, PerChannel, Source, Step, Steps, padded};
use super::text::short;
use crate::checkpoint::StateDict;
use crate::graph::{BatchNorm2d, Builder, Graph, Op, ParameterId, Value};
use indexmap::IndexMap;

/// The graph that gives `output`, and its parameters under their names in it.
pub fn lower(steps: &Steps, output: Source, memory: &mut Memory) -> Result<(Graph, StateDict), String> {
    let live = steps.live(output);
    let mut parameters = Parameters::default();
    parameters.graph.only_input(steps.shapes[0]);
    let mut values = vec![Value::INPUT; steps.shapes.len()];
    for (at, step) in steps.list.iter().enumerate().filter(|(at, _)| live[at + 1]) {
        let inputs = step.inputs.iter().map(|&source| values[source]).collect();
        let channels = steps.shapes[step.inputs.first().copied().unwrap_or(0)].channels;
        let op = operator(step, channels, &mut parameters, memory)
            .map_err(|reason| format!("node `{}` of its graph cannot be imported: {reason}", short(&step.name)))?;
        let name = if matches!(step.kind, Kind::Plain(_)) { "" } else { &step.name };
        values[at + 1] = parameters.graph.node(name, op, inputs);
    }
    Ok((parameters.graph.finish(values[output]), parameters.state))
}

/// The graph's operator for a step that reads so many channels.
fn operator(step: &Step, channels: usize, parameters: &mut Parameters, memory: &mut Memory) -> Result<Op, String> {
    let mut filled = |value: f32, what: &str| -> Result<Constant, String> {
        memory.take(channels.saturating_mul(8))?;
        Constant::floats(&format!("{}.{what}", step.name).into(), &[channels], &vec![value; channels])
    };
    Ok(match &step.kind {
        Kind::Conv { conv, weight, bias } => Op::Conv2d {
            conv: *conv,
            weight: parameters.register(weight),
            bias: bias.as_ref().map(|bias| parameters.register(bias)),
        },
        Kind::Linear { linear, weight, bias } => Op::Linear {
            linear: *linear,
            weight: parameters.register(weight),
            bias: bias.as_ref().map(|bias| parameters.register(bias)),
        },
        Kind::Norm { norm, parameters: own } => {
            let [weight, bias, running_mean, running_var] = own.each_ref().map(|own| parameters.register(own));
            Op::BatchNorm2d { norm: *norm, weight, bias, running_mean, running_var }
        }
        // A batch normalisation of mean 0 and variance 1, because those go into the convolution before them.
        Kind::Affine { scale, shift } => {
            let mut each = |numbers: &PerChannel, what| match numbers {
                PerChannel::Each(constant) => Ok(constant.clone()),
                PerChannel::All(value) => filled(*value, what),
            };
            let [weight, bias] = [each(scale, "scale")?, each(shift, "shift")?];
            let own = [weight, bias, filled(0.0, "mean")?, filled(1.0, "variance")?];
            let [weight, bias, running_mean, running_var] = own.each_ref().map(|own| parameters.register(own));
            Op::BatchNorm2d { norm: BatchNorm2d { channels, eps: 0.0 }, weight, bias, running_mean, running_var }
        }
        Kind::Pad { padding, value } => {
            if *value != 0.0 {
                return Err(format!("it pads with {value}, and only zeros can be padded with here"));
            }
            let ones = filled(1.0, "ones")?.reshaped(&[channels, 1, 1, 1])?;
            Op::Conv2d { conv: padded(channels, *padding), weight: parameters.register(&ones), bias: None }
        }
        Kind::LogSoftmax => return Err("LogSoftmax is supported at the end of a network only".into()),
        Kind::Plain(op) => op.clone(),
    })
}

/// The graph so far, and the tensors of its parameters.
#[derive(Default)]
struct Parameters {
    graph: Builder,
    state: StateDict,
    /// By name: the parameter, and how many share the name but for an ending.
    known: IndexMap<String, (ParameterId, usize)>,
}

impl Parameters {
    /// The parameter that holds `constant`. One that the file uses twice is one; where the file's name stands for other
    /// numbers already, since these were transposed, say, an ending tells them apart.
    fn register(&mut self, constant: &Constant) -> ParameterId {
        let mut name = constant.name.to_string();
        loop {
            match self.known.get_mut(&name) {
                None => break,
                Some((id, _)) if self.state.get(&name) == Some(&constant.tensor) => return *id,
                Some((_, count)) => {
                    *count += 1;
                    name = format!("{}.{count}", constant.name);
                }
            }
        }
        let id = self.graph.free_parameter(&name, constant.shape());
        self.state.insert(name.clone(), constant.tensor.clone());
        self.known.insert(name, (id, 1));
        id
    }
}
