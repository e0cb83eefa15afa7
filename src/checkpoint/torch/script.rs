//! The settings of modules in a TorchScript archive, which are constants in its code: `stride : Final[Tuple[int, int]] =
//! (2, 2)`. Nothing else of the code is read.

use super::module::unmangled;
use crate::checkpoint::source::Source;
use crate::checkpoint::{Attribute, ModuleTree};
use crate::error::Result;
use bytes::Bytes;
use std::collections::HashMap;

/// Constants that one class may have; those of PyTorch's have a dozen.
const MOST_CONSTANTS: usize = 64;

/// Bytes of code that are looked through, those of a file once for each of its classes.
const MOST_BYTES: usize = 64 << 20;

/// Gives the modules of `tree` the constants of their classes, which are in the `code` of the archive by the name of a
/// file. Traced modules have none.
pub(super) fn settle(
    source: &Source,
    tree: &mut ModuleTree,
    mut code: impl FnMut(&str) -> Option<Bytes>,
) -> Result<()> {
    let mut classes: HashMap<String, Vec<(String, Attribute)>> = HashMap::new();
    let mut looked_through = 0;
    for module in tree.modules_mut() {
        if !classes.contains_key(&module.class) {
            let (file, class) = module.class.rsplit_once('.').unwrap_or(("", &module.class));
            let text = code(&format!("{}.py", file.replace('.', "/"))).unwrap_or_default();
            looked_through += text.len();
            let constants = if looked_through > MOST_BYTES { Vec::new() } else { constants(&text, class) };
            classes.insert(module.class.clone(), constants);
        }
        module.attributes = classes.get(&module.class).cloned().unwrap_or_default();
        module.class = unmangled(&module.class);
        source.expand(|| format!("the module `{}`", module.path), module.bytes() as u64)?;
    }
    tree.of_script();
    Ok(())
}

/// The constants of `class` in the code of its module.
fn constants(code: &[u8], class: &str) -> Vec<(String, Attribute)> {
    let code = String::from_utf8_lossy(code);
    let begin = format!("class {class}(");
    let lines = code.lines().skip_while(|line| !line.starts_with(&begin)).skip(1);
    let own = lines.take_while(|line| !line.starts_with("class ") && !line.starts_with("  def "));
    let constant = |line: &str| {
        let (name, rest) = line.trim().split_once(" : Final[")?;
        let (_, value) = rest.split_once("] = ")?;
        Some((name.to_owned(), self::value(value)))
    };
    own.filter_map(constant).take(MOST_CONSTANTS).collect()
}

/// A constant as TorchScript writes it.
fn value(text: &str) -> Attribute {
    const MOST_INTS: usize = 4;
    let ints = |text: &str| -> Option<Vec<i64>> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().ok()).collect()
    };
    let within = |open, close| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    match text {
        "None" => Attribute::None,
        "True" => Attribute::Bool(true),
        "False" => Attribute::Bool(false),
        _ => {
            if let Ok(number) = text.parse() {
                return Attribute::Int(number);
            }
            if let Some(number) =
                text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
            {
                return Attribute::Float(number);
            }
            if let Some(word) = within('"', '"').filter(|word| word.len() <= 64 && !word.contains(['"', '\\'])) {
                return Attribute::Text(word.to_owned());
            }
            let list = within('(', ')').or_else(|| within('[', ']')).and_then(ints);
            list.filter(|list| list.len() <= MOST_INTS).map_or(Attribute::Other, Attribute::Ints)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_those_of_the_class() {
        let code = b"class A(Module):\n  weight : Tensor\n  stride : Final[Tuple[int, int]] = (1, 1)\nclass Conv2d(Module):\n  \
            __parameters__ = [\"weight\", ]\n  weight : Tensor\n  groups : Final[int] = 2\n  stride : Final[Tuple[int, int]] = (2, 3)\n  \
            eps : Final[float] = 1.0000000000000001e-05\n  affine : Final[bool] = True\n  mode : Final[str] = \"zeros\"\n  \
            odd : Final[Device] = torch.device(\"cpu\")\n  def forward(self) -> Tensor:\n    a : Final[int] = 1\n";
        let expected = [
            ("groups", Attribute::Int(2)),
            ("stride", Attribute::Ints(vec![2, 3])),
            ("eps", Attribute::Float(1e-5)),
            ("affine", Attribute::Bool(true)),
            ("mode", Attribute::Text("zeros".into())),
            ("odd", Attribute::Other),
        ];
        assert_eq!(constants(code, "Conv2d"), expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(constants(code, "B").is_empty() && constants(b"\xff", "A").is_empty());
    }
}
