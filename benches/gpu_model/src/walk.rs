//! One wave on its way through a kernel: how long it takes alone, and what it asks of each unit.

use crate::instruction::Kind;
use crate::listing::{Loop, Node, loops};
use crate::trips::Trips;
use std::collections::VecDeque;
use std::ops::{AddAssign, Index, IndexMut, Mul, Sub};

/// Cycles that instructions of a wave take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Of the vector units, for each of theirs.
    pub vector: f64,
    /// From a load to its numbers.
    pub load: f64,
    /// Of the cache beside the vector units, for a load of 4 numbers a lane.
    pub l0: f64,
    /// From a load of constants to them.
    pub constants: f64,
    /// From an access to shared memory to its end.
    pub shared: f64,
    /// Of the shared memory, for each number a lane.
    pub shared_number: f64,
    /// At a barrier, where all waves are about as far.
    pub barrier: f64,
}

/// What is counted of a wave, or of one of its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Cycles from the first instruction to the last.
    Latency,
    /// Cycles of the vector units.
    Vector,
    /// Cycles of the cache beside them.
    L0,
    /// Cycles of the shared memory.
    Shared,
    /// Instructions.
    Instructions,
    /// Those of the vector units.
    Vectors,
    /// Loads and stores.
    Accesses,
    /// Multiplications, of which most add too.
    Multiplied,
    /// Additions alone.
    Added,
    /// Numbers of 32 bits that are stored.
    Stored,
}

const COUNTS: usize = Count::Stored as usize + 1;

/// One number for each [`Count`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts([f64; COUNTS]);

impl Index<Count> for Counts {
    type Output = f64;

    fn index(&self, count: Count) -> &f64 {
        &self.0[count as usize]
    }
}

impl IndexMut<Count> for Counts {
    fn index_mut(&mut self, count: Count) -> &mut f64 {
        &mut self.0[count as usize]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Mul<f64> for Counts {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self(self.0.map(|count| count * times))
    }
}

/// Walks through `nodes`, whose loops run as often as `trips` has it. Blocks behind conditions count as executed.
pub fn walk(nodes: &[Node], trips: &[Trips], costs: &Costs) -> Counts {
    let mut wave =
        Wave { costs, counts: Counts::default(), loads: VecDeque::new(), shared: VecDeque::new(), constants: 0.0 };
    wave.nodes(nodes, trips);
    wave.counts
}

/// What one pass counts of the loop in which most is multiplied over all of its passes, of those without loops inside; of
/// the whole where nothing is multiplied in any.
pub fn innermost(nodes: &[Node], trips: &[Trips], costs: &Costs) -> Counts {
    fn each(nodes: &[Node], trips: &[Trips], times: f64, found: &mut Vec<(f64, Vec<Node>)>) {
        for (looped, trips) in loops(nodes).zip(trips) {
            let times = times * trips.tail;
            if looped.inside().next().is_none() {
                found.push((times, [looped.head.clone(), looped.tail.clone()].concat()));
            }
            let (head, tail) = trips.inside.split_at(loops(&looped.head).count().min(trips.inside.len()));
            each(&looped.head, head, times, found);
            each(&looped.tail, tail, times, found);
        }
    }
    let mut bodies = Vec::new();
    each(nodes, trips, 1.0, &mut bodies);
    let counts = bodies.iter().map(|(times, body)| (*times, walk(body, &[], costs)));
    let multiplied = |(times, counts): &(f64, Counts)| times * counts[Count::Multiplied];
    let most = counts.max_by(|a, b| multiplied(a).total_cmp(&multiplied(b)));
    most.filter(|most| multiplied(most) > 0.0).map_or_else(
        || {
            let blocks: Vec<Node> = nodes.iter().filter(|node| matches!(node, Node::Block(_))).cloned().collect();
            walk(&blocks, &[], costs)
        },
        |(_, counts)| counts,
    )
}

struct Wave<'c> {
    costs: &'c Costs,
    /// So far.
    counts: Counts,
    /// When the loads that are under way end, in order.
    loads: VecDeque<f64>,
    /// Likewise the accesses to shared memory.
    shared: VecDeque<f64>,
    /// When the last load of constants ends.
    constants: f64,
}

impl Wave<'_> {
    fn nodes(&mut self, nodes: &[Node], trips: &[Trips]) {
        let mut trips = trips.iter();
        for node in nodes {
            match node {
                Node::Block(instructions) => instructions.iter().for_each(|kind| self.instruction(*kind)),
                Node::Loop(looped) => {
                    if let Some(trips) = trips.next() {
                        self.looped(looped, trips);
                    }
                }
            }
        }
    }

    fn looped(&mut self, looped: &Loop, trips: &Trips) {
        let (head, tail) = trips.inside.split_at(loops(&looped.head).count().min(trips.inside.len()));
        self.repeat(trips.tail, |wave| {
            wave.nodes(&looped.head, head);
            wave.nodes(&looped.tail, tail);
        });
        self.repeat(trips.head - trips.tail, |wave| wave.nodes(&looped.head, head));
    }

    /// Does something so many times, which may be a mean and no whole number: the second time stands for all that follow.
    fn repeat(&mut self, times: f64, body: impl Fn(&mut Self)) {
        if times <= 0.0 {
            return;
        }
        body(self);
        if times > 1.0 {
            let before = self.counts;
            body(self);
            let more = (self.counts - before) * (times - 2.0);
            self.counts += more;
            let later = more[Count::Latency];
            self.loads.iter_mut().chain(&mut self.shared).for_each(|end| *end += later);
            self.constants += later;
        }
    }

    fn instruction(&mut self, kind: Kind) {
        const TIMES_OF_SLOW: f64 = 4.0;
        let costs = self.costs;
        self.counts[Count::Instructions] += 1.0;
        match kind {
            Kind::Fused(at_once) => {
                self.counts[Count::Multiplied] += f64::from(at_once);
                self.vector(1.0);
            }
            Kind::Multiply => {
                self.counts[Count::Multiplied] += 1.0;
                self.vector(1.0);
            }
            Kind::Add => {
                self.counts[Count::Added] += 1.0;
                self.vector(1.0);
            }
            Kind::Vector => self.vector(1.0),
            Kind::Slow => self.vector(TIMES_OF_SLOW),
            Kind::Load(width) => {
                let busy = self.access(width);
                let end = self.counts[Count::Latency] + costs.load;
                self.loads.push_back(self.loads.back().map_or(end, |last| end.max(last + busy)));
            }
            Kind::Store(width) => {
                self.access(width);
                self.counts[Count::Stored] += f64::from(width);
            }
            Kind::Shared(width) => {
                self.pass(costs.vector);
                let busy = f64::from(width) * costs.shared_number;
                self.counts[Count::Shared] += busy;
                let end = self.counts[Count::Latency] + costs.shared;
                self.shared.push_back(self.shared.back().map_or(end, |last| end.max(last + busy)));
            }
            Kind::Constants => {
                self.pass(1.0);
                self.constants = self.constants.max(self.counts[Count::Latency] + costs.constants);
            }
            Kind::Wait { loads, others } => {
                self.pass(1.0);
                if let Some(loads) = loads {
                    let done = self.loads.len().saturating_sub(loads.into());
                    let last = self.loads.drain(..done).next_back();
                    self.until(last);
                }
                if let Some(others) = others {
                    let done = self.shared.len().saturating_sub(others.into());
                    let last = self.shared.drain(..done).next_back();
                    self.until(last);
                    // Constants may come in any order, so whoever waits for them waits for all.
                    if others == 0 {
                        self.until(Some(self.constants));
                    }
                }
            }
            Kind::Barrier => self.pass(costs.barrier),
            Kind::Branch => self.pass(2.0),
            Kind::Scalar => self.pass(1.0),
        }
    }

    fn vector(&mut self, times: f64) {
        self.counts[Count::Vectors] += 1.0;
        self.counts[Count::Vector] += times * self.costs.vector;
        self.pass(times * self.costs.vector);
    }

    /// A load or a store of so many numbers a lane, and the cycles that it takes of the cache.
    fn access(&mut self, width: u8) -> f64 {
        self.pass(1.0);
        let busy = f64::from(width) / 4.0 * self.costs.l0;
        self.counts[Count::L0] += busy;
        self.counts[Count::Accesses] += 1.0;
        busy
    }

    fn pass(&mut self, cycles: f64) {
        self.counts[Count::Latency] += cycles;
    }

    fn until(&mut self, end: Option<f64>) {
        let latency = &mut self.counts[Count::Latency];
        *latency = latency.max(end.unwrap_or(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs =
        Costs { vector: 2.0, load: 320.0, l0: 8.0, constants: 100.0, shared: 64.0, shared_number: 2.0, barrier: 32.0 };

    fn wait(loads: u8) -> Kind {
        Kind::Wait { loads: Some(loads), others: None }
    }

    #[test]
    fn loads_are_under_way_together() {
        let nodes = [Node::Block(vec![Kind::Load(4), Kind::Load(4), wait(0)])];
        let counts = walk(&nodes, &[], &COSTS);
        // The second is asked for a cycle later, and comes 8 behind the first.
        assert_eq!((counts[Count::Latency], counts[Count::L0]), (329.0, 16.0));
        let nodes = [Node::Block(vec![Kind::Load(4), Kind::Load(4), wait(1)])];
        assert_eq!(walk(&nodes, &[], &COSTS)[Count::Latency], 321.0);
    }

    #[test]
    fn loops_run_as_often_as_they_are_said_to() {
        let looped = Loop {
            head: vec![Node::Block(vec![Kind::Branch])],
            tail: vec![Node::Block(vec![Kind::Load(4), wait(0), Kind::Fused(1)])],
        };
        let trips = |tail| [Trips { head: tail + 1.0, tail, inside: Vec::new() }];
        let nodes = [Node::Loop(looped)];
        for passes in [1.0, 2.0, 7.0] {
            let counts = walk(&nodes, &trips(passes), &COSTS);
            assert_eq!(counts[Count::Multiplied], passes);
            assert_eq!(counts[Count::Latency], passes * (2.0 + 1.0 + 320.0 + 2.0) + 2.0);
        }
    }

    #[test]
    fn what_was_asked_for_before_a_loop_is_awaited_within() {
        let tail = vec![Node::Block(vec![wait(0), Kind::Fused(1)])];
        let nodes = [Node::Block(vec![Kind::Load(1)]), Node::Loop(Loop { head: Vec::new(), tail })];
        let trips = [Trips { head: 3.0, tail: 3.0, inside: Vec::new() }];
        assert_eq!(walk(&nodes, &trips, &COSTS)[Count::Latency], 321.0 + 3.0 * 2.0 + 2.0);
    }
}
