//! The literals of pickle protocol 0, which are lines of text.

use super::Value;
use bytes::Bytes;

/// `I`: a decimal number; `00` and `01` are the booleans of that time.
pub(super) fn int(line: &[u8]) -> Option<Value> {
    match line {
        b"00" => Some(Value::Bool(false)),
        b"01" => Some(Value::Bool(true)),
        _ => long(line),
    }
}

/// `L`: a decimal number that may end in `L`.
pub(super) fn long(line: &[u8]) -> Option<Value> {
    let digits = std::str::from_utf8(line.strip_suffix(b"L").unwrap_or(line)).ok()?.trim();
    if let Ok(number) = digits.parse::<i64>() {
        return Some(Value::Int(number));
    }
    // Nothing in a checkpoint needs more than 128 bits; the largest is PyTorch's magic number with 77.
    let number = digits.parse::<i128>().ok()?;
    Some(little_endian(&number.to_le_bytes()))
}

/// An integer in two's complement, little-endian, of any length.
pub(super) fn little_endian(bytes: &[u8]) -> Value {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut significant = bytes;
    while let [rest @ .., before, last] = significant
        && *last == fill
        && (before & 0x80 != 0) == negative
    {
        significant = &significant[..rest.len() + 1];
    }
    if significant.len() > 8 {
        return Value::Long(Bytes::copy_from_slice(significant));
    }
    let mut whole = [fill; 8];
    whole[..significant.len()].copy_from_slice(significant);
    Value::Int(i64::from_le_bytes(whole))
}

/// `F`: a decimal float.
pub(super) fn float(line: &[u8]) -> Option<Value> {
    std::str::from_utf8(line).ok()?.trim().parse().ok().map(Value::Float)
}

/// `S`: a quoted string with Python's escapes.
pub(super) fn quoted(line: &[u8]) -> Option<Value> {
    let line = line.trim_ascii();
    let (quote, inner) = match line {
        [first @ (b'\'' | b'"'), inner @ .., last] if first == last => (*first, inner),
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'x' => u8::try_from(hex(&mut rest, 2)?).ok()?,
                other @ (b'\\' | b'\'' | b'"') => other,
                _ => return None,
            },
            byte if byte == quote => return None,
            byte => byte,
        });
    }
    Some(str_or_bytes(bytes))
}

/// UTF-8 in which Python lets halves of surrogate pairs through: they stand for bytes of a path that is not text. A
/// string with one stays bytes, since Rust's strings hold none.
pub(super) fn utf8(bytes: Bytes) -> Option<Value> {
    let mut rest = &bytes[..];
    let mut sound = true;
    while let Err(error) = std::str::from_utf8(rest) {
        let [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] = &rest[error.valid_up_to()..] else { return None };
        (rest, sound) = (after, false);
    }
    match sound {
        true => String::from_utf8(bytes.to_vec()).ok().map(Value::Str),
        false => Some(Value::Bytes(bytes)),
    }
}

/// `V`: Latin-1 in which `\uXXXX` and `\UXXXXXXXX` stand for everything else. With a half of a surrogate pair it stays
/// bytes, as in [`utf8`].
pub(super) fn unicode(line: &[u8]) -> Option<Value> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            text.push(byte.into());
            continue;
        }
        match rest.clone().next() {
            Some(digits @ (b'u' | b'U')) => {
                rest.next();
                let code = hex(&mut rest, if digits == b'u' { 4 } else { 8 })?;
                match char::from_u32(code) {
                    Some(char) => text.push(char),
                    None if (0xd800..0xe000).contains(&code) => {
                        return Some(Value::Bytes(Bytes::copy_from_slice(line)));
                    }
                    None => return None,
                }
            }
            _ => text.push('\\'),
        }
    }
    Some(Value::Str(text))
}

/// A Python 2 `str`, which may be text or not.
pub(super) fn str_or_bytes(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Str(text),
        Err(error) => Value::Bytes(error.into_bytes().into()),
    }
}

fn hex(rest: &mut impl Iterator<Item = u8>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0u32, |n, _| Some((n << 4) | char::from(rest.next()?).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(int(b"01"), Some(Value::Bool(true)));
        assert_eq!(int(b"-7"), Some(Value::Int(-7)));
        assert_eq!(long(b"12L"), Some(Value::Int(12)));
        assert_eq!(int(b"seven"), None);
        assert_eq!(float(b"1e-3"), Some(Value::Float(0.001)));
        let magic = long(b"119547037146038801333356L");
        assert_eq!(magic, Some(Value::Long(Bytes::from_static(b"l\xfc\x9cF\xf9 j\xa8P\x19"))));
    }

    #[test]
    fn twos_complement_of_any_length() {
        assert_eq!(little_endian(&[]), Value::Int(0));
        assert_eq!(little_endian(&[0xff]), Value::Int(-1));
        assert_eq!(little_endian(&[0xff, 0]), Value::Int(255));
        assert_eq!(little_endian(&[0; 20]), Value::Int(0));
        assert_eq!(little_endian(&[0xff; 20]), Value::Int(-1));
        assert_eq!(little_endian(&i64::MIN.to_le_bytes()), Value::Int(i64::MIN));
        assert!(matches!(little_endian(&u64::MAX.wrapping_shl(0).to_le_bytes()), Value::Int(-1)));
        assert!(matches!(little_endian(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Value::Long(_)));
    }

    #[test]
    fn strings() {
        assert_eq!(quoted(b"'a\\n\\x41\\''"), Some(Value::Str("a\nA'".into())));
        assert_eq!(quoted(b"'\\xff'"), Some(Value::Bytes(Bytes::from_static(b"\xff"))));
        assert_eq!(quoted(b"'a"), None);
        assert_eq!(unicode(b"a\\u00e9\xe9\\n"), Some(Value::Str("a\u{e9}\u{e9}\\n".into())));
        assert_eq!(unicode(b"\\U00110000"), None);
        assert_eq!(unicode(b"a\\ud800"), Some(Value::Bytes(Bytes::from_static(b"a\\ud800"))));
        assert_eq!(utf8(Bytes::from_static(b"\xc3\xa9")), Some(Value::Str("\u{e9}".into())));
        let half = Bytes::from_static(b"/a/\xed\xb3\xa9/b");
        assert_eq!(utf8(half.clone()), Some(Value::Bytes(half)));
        assert_eq!(utf8(Bytes::from_static(b"a\xff")), None);
        assert_eq!(utf8(Bytes::from_static(b"\xed\xb3")), None);
    }
}
