//! Choices that people make by name: reading one of them, or listing them all.

use super::printable::cut;
use super::{Error, Result};
use std::fmt::Display;

/// The one of `all` whose name, or what [`Display`] writes of it, is `text` in any case.
///
/// # Errors
/// [`Error::Usage`] that says that `text` is not `what`, such as "a format", and lists the names.
pub(crate) fn named<T: Copy + Display>(text: &str, what: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T> {
    let is_meant = |one: &&T| [name(**one), &one.to_string()].iter().any(|word| word.eq_ignore_ascii_case(text.trim()));
    all.iter().find(is_meant).copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        Error::Usage(format!("\"{}\" is not {what}; there are {}", cut(text.trim(), 60), names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use crate::InstructionSet;
    use crate::checkpoint::{Format, SaveFormat};
    use crate::export::ExportFormat;
    use crate::tensor::DType;
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    fn are_read_back<T>(all: &[T], name: fn(T) -> &'static str, another: &str)
    where
        T: FromStr<Err = crate::Error> + Display + Debug + Copy + PartialEq,
    {
        for &one in all {
            let name = name(one);
            for text in [name.to_owned(), one.to_string(), name.to_uppercase(), format!(" {name} ")] {
                assert_eq!(text.parse::<T>().unwrap(), one, "{text}");
            }
        }
        let error = another.parse::<T>().unwrap_err().to_string();
        assert!(error.contains(another) && all.iter().all(|one| error.contains(name(*one))), "{error}");
    }

    #[test]
    fn names_and_words_are_read_back() {
        are_read_back(Format::ALL, Format::name, "keras");
        are_read_back(SaveFormat::ALL, SaveFormat::name, "keras");
        are_read_back(ExportFormat::ALL, ExportFormat::name, "air");
        are_read_back(InstructionSet::ALL, InstructionSet::name, "sse2");
        are_read_back(DType::ALL, DType::name, "complex64");
    }
}
