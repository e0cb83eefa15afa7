//! What chooses one of several parts of a checkpoint that would do equally well, in the words of the command line.

/// The rule that takes the first of the parts under `prefixes`, where a shell takes it as it stands.
pub fn hint(prefixes: &[String]) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let first = prefixes.first().filter(|prefix| prefix.chars().all(plain))?;
    Some(format!("--rename '^{}=' takes `{first}`", regex::escape(first)))
}
