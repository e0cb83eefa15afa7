//! The opcodes that carry a value of their own: numbers, constants, strings and bytes.

use super::Value;
use super::cursor::Cursor;
use super::text;
use bytes::Bytes;

/// The value of `opcode`, read from `input` behind it; `None` where it is no literal. `copy` is asked before so many
/// bytes of text are copied; other bytes are slices of the input.
pub(super) fn read<E: From<&'static str>>(
    input: &mut Cursor,
    opcode: u8,
    copy: &mut impl FnMut(usize) -> Result<(), E>,
) -> Result<Option<Value>, E> {
    let mut copied = |text: Bytes| copy(text.len()).map(|()| text);
    Ok(Some(match opcode {
        b'N' => Value::None,
        0x88 => Value::Bool(true),
        0x89 => Value::Bool(false),
        b'K' => Value::Int(input.u8()?.into()),
        b'M' => Value::Int(u16::from_le_bytes(input.array()?).into()),
        b'J' => Value::Int(i32::from_le_bytes(input.array()?).into()),
        b'G' => Value::Float(f64::from_be_bytes(input.array()?)),
        0x8a | 0x8b => {
            let len = if opcode == 0x8a { input.u8()?.into() } else { input.u32_len()? };
            text::little_endian(&input.take(len)?)
        }
        b'I' => text::int(&input.line()?).ok_or("what should be an integer is not")?,
        b'L' => text::long(&input.line()?).ok_or("what should be an integer of up to 128 bits is not")?,
        b'F' => text::float(&input.line()?).ok_or("what should be a float is not")?,
        b'S' => text::quoted(&copied(input.line()?)?).ok_or("what should be a quoted string is not")?,
        b'V' => text::unicode(&copied(input.line()?)?).ok_or("what should be a string is not")?,
        b'T' | b'U' => {
            let len = if opcode == b'U' { input.u8()?.into() } else { input.u32_len()? };
            text::str_or_bytes(copied(input.take(len)?)?.to_vec())
        }
        b'X' | 0x8c | 0x8d => {
            let len = match opcode {
                b'X' => input.u32_len()?,
                0x8c => input.u8()?.into(),
                _ => input.u64_len()?,
            };
            text::utf8(copied(input.take(len)?)?).ok_or("a string that is no UTF-8")?
        }
        b'B' | b'C' | 0x8e | 0x96 => {
            let len = match opcode {
                b'B' => input.u32_len()?,
                b'C' => input.u8()?.into(),
                _ => input.u64_len()?,
            };
            Value::Bytes(input.take(len)?)
        }
        _ => return Ok(None),
    }))
}
