//! A compiled kernel as a list of blocks and loops, read from the driver's assembly.

use crate::Result;
use crate::instruction::{Kind, kind};
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// A part of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Instructions, one after the other.
    Block(Vec<Kind>),
    /// What runs several times.
    Loop(Loop),
}

/// A loop as it lies in the code. Whoever leaves it runs `head` once more than `tail`.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// Up to the last block that leaves it.
    pub head: Vec<Node>,
    /// From there to the jump back.
    pub tail: Vec<Node>,
}

impl Loop {
    /// The loops inside, in order.
    pub fn inside(&self) -> impl Iterator<Item = &Loop> {
        loops(&self.head).chain(loops(&self.tail))
    }
}

/// The loops among `nodes`, without those inside of them.
pub fn loops(nodes: &[Node]) -> impl Iterator<Item = &Loop> {
    nodes.iter().filter_map(|node| match node {
        Node::Block(_) => None,
        Node::Loop(found) => Some(found),
    })
}

/// A block before loops are found.
struct Block {
    instructions: Vec<Kind>,
    /// The blocks that it jumps to.
    targets: Vec<usize>,
}

/// Reads a listing. Loops are the ranges of blocks that a jump backwards closes.
///
/// # Errors
/// Where jumps lead nowhere, or loops overlap.
pub fn read(listing: &str) -> Result<Vec<Node>> {
    let blocks = blocks(listing)?;
    let mut ends: HashMap<usize, usize> = HashMap::new();
    for (index, block) in blocks.iter().enumerate() {
        for &header in block.targets.iter().filter(|target| **target <= index) {
            let end = ends.entry(header).or_default();
            *end = index.max(*end);
        }
    }
    nodes(&blocks, &ends, 0..=blocks.len().saturating_sub(1), None)
}

fn blocks(listing: &str) -> Result<Vec<Block>> {
    let lines = listing.lines().map(|line| line.split(';').next().unwrap_or_default().trim());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let labels = lines.iter().filter_map(|line| line.strip_suffix(':'));
    let places: HashMap<&str, usize> = labels.enumerate().map(|(place, label)| (label, place)).collect();
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines {
        if line.ends_with(':') {
            blocks.push(Block { instructions: Vec::new(), targets: Vec::new() });
            continue;
        }
        let block = blocks.last_mut().ok_or_else(|| format!("{line:?} stands in no block"))?;
        let kind = kind(line);
        if kind == Kind::Branch {
            let label = line.split_whitespace().nth(1).unwrap_or_default();
            block.targets.push(*places.get(label).ok_or_else(|| format!("{line:?} leads nowhere"))?);
        }
        block.instructions.push(kind);
    }
    Ok(blocks)
}

/// The blocks of `range`, which is the body of the loop at `header` if there is one.
fn nodes(
    blocks: &[Block],
    ends: &HashMap<usize, usize>,
    range: RangeInclusive<usize>,
    header: Option<usize>,
) -> Result<Vec<Node>> {
    let (mut at, end) = range.into_inner();
    let mut nodes = Vec::new();
    while at <= end && at < blocks.len() {
        match ends.get(&at).filter(|_| header != Some(at)) {
            None => {
                nodes.push(Node::Block(blocks[at].instructions.clone()));
                at += 1;
            }
            Some(&last) if last > end => return Err("loops overlap".into()),
            Some(&last) => {
                nodes.push(Node::Loop(read_loop(blocks, ends, at, last)?));
                at = last + 1;
            }
        }
    }
    Ok(nodes)
}

fn read_loop(blocks: &[Block], ends: &HashMap<usize, usize>, header: usize, last: usize) -> Result<Loop> {
    let leaves = |index: &usize| blocks[*index].targets.iter().any(|target| *target > last);
    let exit = (header..=last).rev().find(leaves).ok_or("a loop is never left")?;
    // A loop inside may leave this one too, and is not cut in two.
    let inner = ends.iter().filter(|(start, end)| **start > header && (**start..=**end).contains(&exit));
    let exit = inner.map(|(_, end)| *end).max().unwrap_or(exit);
    let head = nodes(blocks, ends, header..=exit, Some(header))?;
    let tail = if exit < last { nodes(blocks, ends, exit + 1..=last, None)? } else { Vec::new() };
    Ok(Loop { head, tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "BB0:
	s_mov_b32 s0, s3   ; be800303
BB2:
	s_cbranch_scc1 BB9
BB3:
	v_mov_b32_e32 v1, v2
BB4:
	s_cbranch_scc1 BB6
BB5:
	v_fmac_f32_e32 v1, v2, v3
	s_branch BB4
BB6:
	s_branch BB2
BB9:
	s_endpgm
";

    #[test]
    fn loops_are_what_a_jump_backwards_closes() {
        let block = |kinds: &[Kind]| Node::Block(kinds.to_vec());
        let inner = Loop { head: vec![block(&[Kind::Branch])], tail: vec![block(&[Kind::Fused(1), Kind::Branch])] };
        let tail = vec![block(&[Kind::Vector]), Node::Loop(inner), block(&[Kind::Branch])];
        let outer = Loop { head: vec![block(&[Kind::Branch])], tail };
        let expected = vec![block(&[Kind::Scalar]), Node::Loop(outer), block(&[Kind::Scalar])];
        assert_eq!(read(TWO).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for wrong in ["BB0:\n\ts_branch BB7\n", "\ts_endpgm\n", "BB0:\n\ts_branch BB0\n"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
