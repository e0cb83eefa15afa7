//! The order in which fully connected layers follow on each other, of which a checkpoint has names, shapes and its own order.

use crate::graph::Linear;
use crate::printable::cut;

/// A layer by its name.
type Layer = (String, Linear);

/// The layers in a row in which each takes as many numbers as the one before gives, and a note where there are others.
///
/// A file has layers in the order in which the model made them, unless it is `sorted` by names, as safetensors is; then
/// their numbers go first. Where neither is such a row, each layer is put behind the one that it fits.
pub(super) fn of(layers: Vec<Layer>, sorted: bool) -> Option<(Vec<Layer>, Option<String>)> {
    if layers.is_empty() {
        return None;
    }
    let mut numbered = layers.clone();
    numbered.sort_by_cached_key(|(name, _)| natural_key(name));
    let [first, second] = if sorted { [numbered, layers.clone()] } else { [layers.clone(), numbered] };
    if chains(&first) {
        let others = first != second && chains(&second);
        let note = (others || (sorted && unclear(&first))).then(|| {
            let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
            let order = if sorted { "their names" } else { "the file" };
            format!("took the layers in the order of {order}, and others fit as well: {}", listed(&names))
        });
        return Some((first, note));
    }
    if chains(&second) {
        return Some((second, None));
    }
    put_together(layers)
}

/// Whether each layer takes as many numbers as the one before gives.
fn chains(layers: &[Layer]) -> bool {
    layers.windows(2).all(|pair| pair[0].1.out_features == pair[1].1.in_features)
}

/// Whether two neighbours could change places, and no numbers in their names speak against it.
fn unclear(layers: &[Layer]) -> bool {
    let texts = |name: &str| -> Vec<String> { natural_key(name).into_iter().map(|(text, _)| text).collect() };
    layers.windows(2).any(|pair| {
        let square = |layer: &Linear| layer.in_features == layer.out_features;
        square(&pair[0].1) && square(&pair[1].1) && texts(&pair[0].0) != texts(&pair[1].0)
    })
}

/// Layers in the one order that they fit in, starting with the one that fits behind no other.
fn put_together(mut left: Vec<Layer>) -> Option<(Vec<Layer>, Option<String>)> {
    /// Each layer is looked for among all that are left.
    const MOST: usize = 1000;
    if left.len() > MOST {
        return None;
    }
    let start =
        left.iter().position(|(_, layer)| left.iter().all(|(_, other)| other.out_features != layer.in_features))?;
    let mut row = vec![left.remove(start)];
    let mut several = false;
    while !left.is_empty() {
        let width = row.last()?.1.out_features;
        let fits = |layer: &Layer| layer.1.in_features == width;
        // A layer that gives what it takes goes first: after any other there is no way back to it.
        let square = left.iter().position(|layer| fits(layer) && layer.1.out_features == width);
        let next = square.or_else(|| left.iter().position(fits))?;
        several |=
            left.iter().filter(|layer| fits(layer) && layer.1.out_features == left[next].1.out_features).count() > 1;
        row.push(left.remove(next));
    }
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    let note = several.then(|| format!("took the layers in an order that fits, of several: {}", listed(&names)));
    Some((row, note))
}

/// The first few names.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| cut(name, 60).into_owned()).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    shown.join(", ") + &more
}

/// A sort key that puts `layer10` after `layer9`.
fn natural_key(name: &str) -> Vec<(String, u64)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(end);
        key.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = tail;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(layers: &[(&str, usize, usize)], sorted: bool) -> Option<(Vec<String>, bool)> {
        let layers = layers.iter().map(|(name, takes, gives)| ((*name).to_owned(), Linear::new(*takes, *gives)));
        let (layers, note) = of(layers.collect(), sorted)?;
        Some((layers.into_iter().map(|(name, _)| name).collect(), note.is_some()))
    }

    #[test]
    fn the_files_order_goes_before_the_alphabet() {
        let square = [("inp", 9, 9), ("hidden", 9, 9), ("last", 9, 3)];
        assert_eq!(ordered(&square, false).unwrap(), (vec!["inp".into(), "hidden".into(), "last".into()], true));
        let plain = [("fc1", 9, 8), ("fc2", 8, 3)];
        assert_eq!(ordered(&plain, true).unwrap(), (vec!["fc1".into(), "fc2".into()], false));
    }

    #[test]
    fn a_sorted_file_has_no_order_of_its_own() {
        let numbers = [("fc1", 9, 9), ("fc10", 9, 3), ("fc2", 9, 9)];
        assert_eq!(ordered(&numbers, true).unwrap(), (vec!["fc1".into(), "fc2".into(), "fc10".into()], false));
        let words = [("hidden", 9, 9), ("inp", 9, 9), ("last", 9, 3)];
        assert_eq!(ordered(&words, true).unwrap(), (vec!["hidden".into(), "inp".into(), "last".into()], true));
    }

    #[test]
    fn layers_in_no_order_are_put_together() {
        let odd = [("b", 5, 5), ("c", 5, 3), ("a", 9, 5)];
        assert_eq!(ordered(&odd, false).unwrap(), (vec!["a".into(), "b".into(), "c".into()], false));
        let two = [("x", 3, 2), ("b", 5, 5), ("c", 5, 3), ("a", 9, 5), ("d", 5, 5)];
        assert!(ordered(&two, false).unwrap().1);
        assert_eq!(ordered(&[("a", 4, 5), ("b", 9, 6)], false), None);
        assert_eq!(ordered(&[], false), None);
    }
}
