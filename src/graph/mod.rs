//! A network as data: operators over values, with named parameters; it knows no device and no file.

mod activation;
mod builder;
mod head;
mod inference;
mod op;
mod shape;
mod window;

pub use activation::Activation;
pub(crate) use activation::{Operator, Part, Values};
pub use builder::{Builder, Sequential};
pub use head::{Head, OutputActivation};
pub use op::{AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Op};
pub use shape::Shape;
pub use window::{Padding, Window};

/// What flows along an edge: the graph's input, or the output of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) usize);

impl Value {
    /// The graph's input.
    pub const INPUT: Self = Self(0);
}

/// The place of a parameter in [`Graph::parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParameterId(pub(crate) usize);

/// A parameter that a checkpoint must supply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// The name that its framework gives it, such as `stage2.0.branch1.0.weight`.
    pub name: String,
    /// The shape that it must have.
    pub shape: Vec<usize>,
}

/// One operator applied to values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// The operator.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Where it stands in the network, such as `stage2.0.branch1.0`; of an operator without parameters the module that
    /// calls it, which is the operator's own where it has one, such as `stage2.0.branch1.4`.
    pub name: String,
}

/// Operators in the order in which they run. Node `i` makes value `i + 1`; value 0 is the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Parameter>,
    output: Value,
    /// What the sides of the input must be multiples of.
    side_unit: usize,
    /// The only input that it takes, where what it computes follows from that.
    only_input: Option<Shape>,
}

impl Graph {
    /// The operators, each after those that it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The parameters, in the order in which the operators use them.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The value that the network returns.
    pub fn output(&self) -> Value {
        self.output
    }

    /// The only input that it takes: of a graph in which sizes are numbers that follow from the input's, as
    /// [`import`](crate::import) makes them. `None` where it takes every input that its operators take.
    pub fn only_input(&self) -> Option<Shape> {
        self.only_input
    }

    /// The same graph with some nodes done otherwise. `edit` gets the builder of the new graph, a node of this one and the
    /// values that stand for its inputs; it returns the value that stands for its output, or none to keep the node.
    ///
    /// Only for graphs whose parameters are named by their nodes, as those of a [`Builder`] are.
    pub(crate) fn rewritten(&self, mut edit: impl FnMut(&mut Builder, &Node, &[Value]) -> Option<Value>) -> Self {
        let mut g = Builder::new();
        g.sides_multiple_of(self.side_unit);
        if let Some(shape) = self.only_input {
            g.only_input(shape);
        }
        let mut values = vec![Value::INPUT];
        let stand_in = |values: &[Value], value: &Value| values.get(value.0).copied().unwrap_or(*value);
        for node in &self.nodes {
            let inputs: Vec<Value> = node.inputs.iter().map(|value| stand_in(&values, value)).collect();
            let made = edit(&mut g, node, &inputs).unwrap_or_else(|| g.again(node, inputs));
            values.push(made);
        }
        g.finish(stand_in(&values, &self.output))
    }

    /// The part of the graph from which `output` follows, and which returns it. Parameters keep their places, those that it
    /// does not read included.
    pub(crate) fn up_to(&self, output: Value) -> Self {
        let mut is_needed = vec![false; self.nodes.len() + 1];
        let need = |value: Value, is_needed: &mut [bool]| {
            if let Some(is_needed) = is_needed.get_mut(value.0) {
                *is_needed = true;
            }
        };
        need(output, &mut is_needed);
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if is_needed[i + 1] {
                node.inputs.iter().for_each(|input| need(*input, &mut is_needed));
            }
        }
        let mut values = vec![Value::INPUT];
        let place = |value: Value, values: &[Value]| values.get(value.0).copied().unwrap_or(value);
        let mut nodes = Vec::new();
        for (node, is_needed) in self.nodes.iter().zip(&is_needed[1..]) {
            if *is_needed {
                let inputs = node.inputs.iter().map(|input| place(*input, &values)).collect();
                nodes.push(Node { inputs, ..node.clone() });
            }
            values.push(Value(nodes.len()));
        }
        Self { nodes, output: place(output, &values), ..self.clone() }
    }

    /// The nodes with the value that each makes.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (Value, &Node)> {
        self.nodes.iter().enumerate().map(|(i, node)| (Value(i + 1), node))
    }
}
