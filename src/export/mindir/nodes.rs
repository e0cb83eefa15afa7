//! The nodes of a MindIR graph: MindSpore's operators for each step.

use super::messages::{FREE, Value, WITH_ATTRIBUTES, primitive};
use crate::export::lowered::{Edge, Kind, Lowered, Step};
use crate::file::protobuf::Message;
use crate::graph::{Operator, Padding, Window};
use indexmap::IndexSet;
use std::borrow::Cow;

/// What operators without attributes call the layout of images, and pools without padding.
const NCHW: Value = Value::Int(0);
const VALID: Value = Value::Int(2);

/// A graph whose nodes are being written.
pub(super) struct Graph<'m, 'n> {
    pub name: &'n str,
    pub lowered: Lowered<'m>,
    pub nodes: Message<'m>,
    /// Operators without attributes.
    pub primitives: IndexSet<&'static str>,
    /// Primitives with attributes, one a node.
    pub attributed: Vec<Message<'m>>,
}

impl<'m> Graph<'m, '_> {
    pub fn step(&mut self, step: &Step) {
        let Step { kind, inputs, outputs, .. } = step;
        let inputs: Vec<String> = inputs.iter().map(|edge| self.name(*edge)).collect();
        let output = outputs.first().map(|edge| self.name(*edge)).unwrap_or_default();
        let dims = outputs.first().map(|edge| self.lowered.dims(*edge).to_vec()).unwrap_or_default();
        let x = inputs[0].as_str();
        match *kind {
            Kind::Conv { window, groups } => {
                let attributes = convolution(&window, groups, dims[0]);
                match &inputs[..] {
                    [x, weight, bias] => {
                        let sum = self.between(&output, "conv");
                        self.attributed(&sum, "Conv2D", attributes, &[x, weight]);
                        self.call(&output, "BiasAdd", &[&sum, bias], [NCHW]);
                    }
                    inputs => self.attributed(&output, "Conv2D", attributes, inputs),
                }
            }
            Kind::BatchNorm { eps } => {
                let all = self.between(&output, "all");
                let (training, momentum) = (Value::Bool(false), Value::Float(0.1));
                self.call(&all, "BatchNorm", &inputs, [training, Value::Float(eps), momentum, NCHW]);
                self.call(&output, "TupleGetItem", &[&all], [Value::Int(0)]);
            }
            // All operands are inputs, and only their places count.
            Kind::Activation(activation, Operator { name, inputs: settings, .. }) => {
                let settings = activation.settings().into_iter().take(settings.len());
                self.call(&output, name, &inputs, settings.map(Value::Float));
            }
            Kind::Pad { padding, value } => {
                // The last axis comes first.
                let Padding { top, left, bottom, right } = padding;
                let sides = self.constant(&output, "padding", Value::sizes(&[left, right, top, bottom]));
                let value = self.constant(&output, "value", Value::Tensor(vec![], Cow::Owned(vec![value])));
                let attributes = [("mode", Value::Text("constant")), ("paddings_contiguous", Value::Bool(true))];
                self.attributed(&output, "PadV3", attributes, &[x, &sides, &value]);
            }
            Kind::MaxPool(window) => self.max_pool(&output, x, &window),
            // Its window has no padding, since pools are lowered to that.
            Kind::AvgPool { window, .. } => {
                let (kernel, stride) = (Value::sizes(&window.kernel), Value::sizes(&window.stride));
                self.call(&output, "AvgPool", &inputs, [kernel, stride, VALID, NCHW]);
            }
            Kind::Add => self.call(&output, "Add", &inputs, []),
            Kind::Mul => self.call(&output, "Mul", &inputs, []),
            Kind::Split => {
                let all = self.between(&output, "all");
                self.call(&all, "Split", &inputs, [Value::Int(1), Value::Int(outputs.len() as i64)]);
                for (i, part) in outputs.iter().enumerate() {
                    self.call(&self.name(*part), "TupleGetItem", &[&all], [Value::Int(i as i64)]);
                }
            }
            Kind::Slice { start, end } => {
                let range = [Value::sizes(&[0, start]), Value::sizes(&[0, end]), Value::sizes(&[1, 1])];
                // The first axis is taken whole.
                let masks = [1, 1, 0, 0, 0].map(Value::Int);
                self.call(&output, "StridedSlice", &inputs, range.into_iter().chain(masks));
            }
            Kind::Concat => {
                let all = self.between(&output, "all");
                self.call(&all, "MakeTuple", &inputs, []);
                self.call(&output, "Concat", &[&all], [Value::Int(1)]);
            }
            Kind::Reshape => {
                let dims = [FREE].into_iter().chain(dims.iter().map(|&dim| dim as i64));
                self.call(&output, "Reshape", &inputs, [Value::Ints(dims.collect())]);
            }
            Kind::Swap => {
                let axes = [0, 2, 1].into_iter().chain(3..dims.len() as i64 + 1);
                self.call(&output, "Transpose", &inputs, [Value::Ints(axes.collect())]);
            }
            Kind::Mean => self.call(&output, "ReduceMean", &inputs, [Value::sizes(&[2, 3]), Value::Bool(true)]),
            Kind::Softmax => self.call(&output, "Softmax", &inputs, [Value::sizes(&[1])]),
            Kind::LogSoftmax => self.call(&output, "LogSoftmax", &inputs, [Value::Int(1)]),
            Kind::Flatten => self.call(&output, "Flatten", &inputs, []),
            Kind::Linear => {
                let transposed = [Value::Bool(false), Value::Bool(true)];
                match &inputs[..] {
                    [x, weight, bias] => {
                        let product = self.between(&output, "product");
                        self.call(&product, "MatMul", &[x, weight], transposed);
                        self.call(&output, "BiasAdd", &[&product, bias], [NCHW]);
                    }
                    inputs => self.call(&output, "MatMul", inputs, transposed),
                }
            }
        }
    }

    fn max_pool(&mut self, output: &str, x: &str, window: &Window) {
        let four = |[height, width]: [usize; 2]| Value::sizes(&[1, 1, height, width]);
        let mut attributes = vec![("kernel_size", four(window.kernel)), ("strides", four(window.stride))];
        if window.dilation == [1; 2] {
            attributes.extend([("pad_mode", Value::Text("VALID")), ("format", Value::Text("NCHW"))]);
            return self.attributed(output, "MaxPool", attributes, &[x]);
        }
        let (padding, dilation) = (Value::sizes(&[0; 4]), four(window.dilation));
        attributes.extend([("pads", padding), ("dilation", dilation), ("ceil_mode", Value::Bool(false))]);
        attributes.push(("argmax_type", Value::Int(4)));
        let both = self.between(output, "both");
        self.attributed(&both, "MaxPoolWithArgmaxV2", attributes, &[x]);
        self.call(output, "TupleGetItem", &[&both], [Value::Int(0)]);
    }

    /// An edge's name in the file, where the graph's own is before it.
    pub fn name(&self, edge: Edge) -> String {
        format!("{}:{}", self.name, self.lowered.name(edge))
    }

    /// A name for what one node of a step gives to the next.
    fn between(&mut self, output: &str, what: &str) -> String {
        self.lowered.fresh(&format!("{output}/{what}"))
    }

    /// A node of an operator without attributes; `values` are its last operands.
    fn call(
        &mut self,
        output: &str,
        operator: &'static str,
        inputs: &[impl AsRef<str>],
        values: impl IntoIterator<Item = Value<'m>>,
    ) {
        let mut inputs: Vec<String> = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
        for (i, value) in values.into_iter().enumerate() {
            inputs.push(self.constant(output, &i.to_string(), value));
        }
        self.primitives.insert(operator);
        self.node(output, &format!("REF::{operator}"), &inputs);
    }

    /// A node of an operator with attributes.
    fn attributed(
        &mut self,
        output: &str,
        operator: &'static str,
        attributes: impl IntoIterator<Item = (&'static str, Value<'m>)>,
        inputs: &[impl AsRef<str>],
    ) {
        let name = format!("{operator}:{}", self.attributed.len());
        let attributes = attributes.into_iter().map(|(name, value)| value.attribute().text(1, name));
        self.attributed.push(primitive(&name, operator, WITH_ATTRIBUTES).messages(3, attributes));
        self.node(output, &format!("REF::{name}"), inputs);
    }

    fn constant(&mut self, output: &str, what: &str, value: Value<'m>) -> String {
        let name = self.between(output, what);
        self.constant_node(&name, value);
        name
    }

    pub fn constant_node(&mut self, name: &str, value: Value<'m>) {
        let node = Message::new().text(2, name).text(3, name).text(4, "Constant");
        self.add(node.message(5, value.attribute().text(1, "value")));
    }

    fn node(&mut self, output: &str, operator: &str, inputs: &[impl AsRef<str>]) {
        let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input.as_ref()));
        self.add(node.text(2, output).text(3, output).text(4, operator));
    }

    fn add(&mut self, node: Message<'m>) {
        self.nodes = std::mem::take(&mut self.nodes).message(1, node);
    }
}

/// The attributes of a convolution that gives so many channels.
fn convolution(window: &Window, groups: usize, channels: usize) -> [(&'static str, Value<'static>); 11] {
    let four = |[height, width]: [usize; 2]| Value::sizes(&[1, 1, height, width]);
    let Padding { top, left, bottom, right } = window.padding;
    let padding = || Value::sizes(&[top, bottom, left, right]);
    [
        ("kernel_size", Value::sizes(&window.kernel)),
        ("mode", Value::Int(1)),
        ("out_channel", Value::Int(channels as i64)),
        ("pad", padding()),
        ("pad_mode", Value::Text("pad")),
        ("pad_list", padding()),
        ("format", Value::Text("NCHW")),
        ("group", Value::Int(groups as i64)),
        ("groups", Value::Int(groups as i64)),
        ("stride", four(window.stride)),
        ("dilation", four(window.dilation)),
    ]
}
