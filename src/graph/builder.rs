//! Builds a graph with calls that mirror a PyTorch module's `__init__` and `forward`.
//!
//! `self.conv1 = nn.Conv2d(3, 8, 3, padding=1)` in the one and `x = self.conv1(x)` in the other are one call here,
//! `x = g.conv2d("conv1", x, Conv2d::new(3, 8, 3).padding(1))`: the name is the attribute's, so parameters are called
//! what `state_dict()` calls them.

use super::{
    Activation, AvgPool2d, BatchNorm2d, Conv2d, Graph, Linear, MaxPool2d, Node, Op, Parameter, ParameterId, Shape,
    Value,
};

/// Collects operators and names their parameters by the path to them, as PyTorch does.
///
/// A layer takes a value and returns another, and a value may be read any number of times. Sizes of images are no part
/// of a graph: what does not fit shows once it meets an input ([`Graph::shapes`], and whatever compiles it).
///
/// ```
/// use pretrained::graph::{Builder, Conv2d, Linear, Value};
///
/// let mut g = Builder::new();
/// let x = g.sequential("features", Value::INPUT).conv2d(Conv2d::new(3, 8, 3)).batch_norm2d(8).relu().end();
/// let x = g.mean(x);
/// let x = g.linear("fc", x, Linear::new(8, 10));
/// let graph = g.finish(x);
/// assert_eq!(graph.parameters()[2].name, "features.1.weight");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    parameters: Vec<Parameter>,
    path: String,
    side_unit: Option<usize>,
    only_input: Option<Shape>,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The graph, which returns `output`.
    pub fn finish(self, output: Value) -> Graph {
        let side_unit = self.side_unit.unwrap_or(1);
        Graph { nodes: self.nodes, parameters: self.parameters, output, side_unit, only_input: self.only_input }
    }

    /// Takes only images whose height and width are multiples of `pixels`: for a network whose operators are the
    /// framework's at these sizes alone, such as those that pad to the `same` size.
    pub fn sides_multiple_of(&mut self, pixels: usize) {
        self.side_unit = Some(pixels.max(1));
    }

    /// Takes only an input of this shape: for a network in which sizes are numbers that follow from it.
    pub fn only_input(&mut self, shape: Shape) {
        self.only_input = Some(shape);
    }

    /// Runs `body` with `name` in front of all names, as the parameters of a child module of this name have it. An operator
    /// without parameters is called by the scope that it stands in.
    pub fn scope<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.path.len();
        self.path = self.child(name);
        let result = body(self);
        self.path.truncate(outer);
        result
    }

    /// `nn.Sequential` under `name`: its layers are numbered from 0.
    pub fn sequential(&mut self, name: &str, x: Value) -> Sequential<'_> {
        Sequential { name: name.to_owned(), index: 0, x, builder: self }
    }

    /// `nn.Conv2d`, a convolution with parameters `name.weight` and, if it has one, `name.bias`.
    pub fn conv2d(&mut self, name: &str, x: Value, conv: Conv2d) -> Value {
        let weight = self.parameter(name, "weight", &conv.weight_shape());
        let bias = conv.bias.then(|| self.parameter(name, "bias", &[conv.out_channels]));
        self.named(name, Op::Conv2d { conv, weight, bias }, x)
    }

    /// `nn.BatchNorm2d` after training, with parameters `name.weight`, `.bias`, `.running_mean` and `.running_var`. A
    /// vector is an image of one pixel, so this is `nn.BatchNorm1d` too.
    pub fn batch_norm2d(&mut self, name: &str, x: Value, norm: BatchNorm2d) -> Value {
        let [weight, bias, running_mean, running_var] =
            ["weight", "bias", "running_mean", "running_var"].map(|p| self.parameter(name, p, &[norm.channels]));
        self.named(name, Op::BatchNorm2d { norm, weight, bias, running_mean, running_var }, x)
    }

    /// `nn.Linear`, a fully connected layer with parameters `name.weight` and, if it has one, `name.bias`. It takes a
    /// vector: what [`flatten`](Self::flatten) or [`mean`](Self::mean) makes of an image.
    pub fn linear(&mut self, name: &str, x: Value, linear: Linear) -> Value {
        let weight = self.parameter(name, "weight", &[linear.out_features, linear.in_features]);
        let bias = linear.bias.then(|| self.parameter(name, "bias", &[linear.out_features]));
        self.named(name, Op::Linear { linear, weight, bias }, x)
    }

    /// Any function of each number: `F.relu6`, `F.hardswish`, `F.hardsigmoid`, `F.sigmoid`, `F.silu`, `torch.clamp`.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Value {
        self.plain(Op::Activation(activation), &[x])
    }

    /// `F.relu(x)`.
    pub fn relu(&mut self, x: Value) -> Value {
        self.activation(x, Activation::Relu)
    }

    /// `F.max_pool2d(x, ...)`.
    pub fn max_pool2d(&mut self, x: Value, pool: MaxPool2d) -> Value {
        self.plain(Op::MaxPool2d(pool), &[x])
    }

    /// `F.avg_pool2d(x, ...)`.
    pub fn avg_pool2d(&mut self, x: Value, pool: AvgPool2d) -> Value {
        self.plain(Op::AvgPool2d(pool), &[x])
    }

    /// `a + b`, where `b` is of the same shape as `a`, or has one number a channel.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.plain(Op::Add, &[a, b])
    }

    /// `a * b`, likewise.
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.plain(Op::Mul, &[a, b])
    }

    /// `x.narrow(1, start, length)`.
    pub fn narrow(&mut self, x: Value, start: usize, length: usize) -> Value {
        self.plain(Op::Narrow { start, length }, &[x])
    }

    /// `x.chunk(2, dim=1)`.
    pub fn chunk2(&mut self, x: Value) -> (Value, Value) {
        (self.plain(Op::Chunk { index: 0, count: 2 }, &[x]), self.plain(Op::Chunk { index: 1, count: 2 }, &[x]))
    }

    /// `torch.cat(parts, dim=1)`.
    pub fn concat(&mut self, parts: &[Value]) -> Value {
        self.plain(Op::Concat, parts)
    }

    /// ShuffleNet's channel shuffle.
    pub fn channel_shuffle(&mut self, x: Value, groups: usize) -> Value {
        self.plain(Op::ChannelShuffle { groups }, &[x])
    }

    /// `x.mean([2, 3])`, or `nn.AdaptiveAvgPool2d(1)` and `flatten`: a vector of one number a channel.
    pub fn mean(&mut self, x: Value) -> Value {
        self.plain(Op::Mean, &[x])
    }

    /// `torch.softmax(x, 1)`.
    pub fn softmax(&mut self, x: Value) -> Value {
        self.plain(Op::Softmax, &[x])
    }

    /// `torch.flatten(x, 1)`.
    pub fn flatten(&mut self, x: Value) -> Value {
        self.plain(Op::Flatten, &[x])
    }

    /// Any operator whose parameters are there already.
    pub(crate) fn node(&mut self, name: &str, op: Op, inputs: Vec<Value>) -> Value {
        self.push(Node { op, inputs, name: name.to_owned() })
    }

    /// A parameter under a name that follows from no module's.
    pub(crate) fn free_parameter(&mut self, name: &str, shape: &[usize]) -> ParameterId {
        self.parameters.push(Parameter { name: name.to_owned(), shape: shape.to_vec() });
        ParameterId(self.parameters.len() - 1)
    }

    fn plain(&mut self, op: Op, inputs: &[Value]) -> Value {
        self.push(Node { op, inputs: inputs.to_vec(), name: self.path.clone() })
    }

    /// A node of another graph of a builder's: its parameters are called by its name once more.
    pub(super) fn again(&mut self, node: &Node, inputs: Vec<Value>) -> Value {
        match (&node.op, &inputs[..]) {
            (Op::Conv2d { conv, .. }, [x]) => self.conv2d(&node.name, *x, *conv),
            (Op::BatchNorm2d { norm, .. }, [x]) => self.batch_norm2d(&node.name, *x, *norm),
            (Op::Linear { linear, .. }, [x]) => self.linear(&node.name, *x, *linear),
            (op, _) => self.node(&node.name, op.clone(), inputs),
        }
    }

    fn named(&mut self, name: &str, op: Op, x: Value) -> Value {
        let name = self.child(name);
        self.push(Node { op, inputs: vec![x], name })
    }

    fn push(&mut self, node: Node) -> Value {
        self.nodes.push(node);
        Value(self.nodes.len())
    }

    fn parameter(&mut self, module: &str, name: &str, shape: &[usize]) -> ParameterId {
        let name = format!("{}.{name}", self.child(module));
        self.parameters.push(Parameter { name, shape: shape.to_vec() });
        ParameterId(self.parameters.len() - 1)
    }

    fn child(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// Layers in a row, numbered as `nn.Sequential` numbers them. Made by [`Builder::sequential`].
#[derive(Debug)]
pub struct Sequential<'b> {
    builder: &'b mut Builder,
    name: String,
    index: usize,
    x: Value,
}

impl Sequential<'_> {
    /// Adds `nn.Conv2d`.
    pub fn conv2d(self, conv: Conv2d) -> Self {
        self.add(|g, name, x| g.conv2d(name, x, conv))
    }

    /// Adds `nn.BatchNorm2d`, or of a vector `nn.BatchNorm1d`, with its default `eps`.
    pub fn batch_norm2d(self, channels: usize) -> Self {
        self.add(|g, name, x| g.batch_norm2d(name, x, BatchNorm2d::new(channels)))
    }

    /// Adds `nn.ReLU`.
    pub fn relu(self) -> Self {
        self.activation(Activation::Relu)
    }

    /// Adds a function of each number, such as `nn.ReLU6` or `nn.Hardswish`.
    pub fn activation(self, activation: Activation) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.activation(x, activation)))
    }

    /// Adds `nn.MaxPool2d`.
    pub fn max_pool2d(self, pool: MaxPool2d) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.max_pool2d(x, pool)))
    }

    /// Adds `nn.AvgPool2d`.
    pub fn avg_pool2d(self, pool: AvgPool2d) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.avg_pool2d(x, pool)))
    }

    /// Adds `nn.AdaptiveAvgPool2d(1)`.
    pub fn mean(self) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.mean(x)))
    }

    /// Adds `nn.Flatten`.
    pub fn flatten(self) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.flatten(x)))
    }

    /// Adds `nn.Linear`.
    pub fn linear(self, linear: Linear) -> Self {
        self.add(|g, name, x| g.linear(name, x, linear))
    }

    /// Adds `nn.Softmax(1)`.
    pub fn softmax(self) -> Self {
        self.add(|g, name, x| g.scope(name, |g| g.softmax(x)))
    }

    /// Adds `nn.Identity`, or any other layer that does nothing outside of training but takes a number.
    pub fn identity(self) -> Self {
        self.add(|_, _, x| x)
    }

    /// Adds `nn.Dropout`, which does nothing outside of training but takes a number.
    pub fn dropout(self) -> Self {
        self.add(|_, _, x| x)
    }

    /// What comes out of the last layer.
    pub fn end(self) -> Value {
        self.x
    }

    fn add(mut self, layer: impl FnOnce(&mut Builder, &str, Value) -> Value) -> Self {
        let name = format!("{}.{}", self.name, self.index);
        self.x = layer(self.builder, &name, self.x);
        self.index += 1;
        self
    }
}
