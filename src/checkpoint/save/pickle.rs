//! Writes the pickle of a PyTorch state dict, protocol 2: an `OrderedDict` of `_rebuild_tensor_v2(storage, ...)`.
//!
//! The opcodes are those that Python's `pickletools` documents. Nothing is memoised: the file is a few hundred bytes
//! larger a tensor, and the pickle needs no state.

use super::Named;
use crate::tensor::{DType, Tensor};

/// The pickle of `tensors`; the elements of the i-th are in the storage with the key i.
pub(super) fn state_dict(tensors: &[Named]) -> Vec<u8> {
    let mut pickle = Pickle(vec![PROTO, 2]);
    pickle.ordered_dict();
    pickle.op(MARK);
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        pickle.text(name);
        pickle.tensor(&key.to_string(), tensor);
    }
    pickle.op(SETITEMS);
    pickle.op(STOP);
    pickle.0
}

const PROTO: u8 = 0x80;
const GLOBAL: u8 = b'c';
const EMPTY_TUPLE: u8 = b')';
const TUPLES: [u8; 3] = [0x85, 0x86, 0x87];
const TUPLE: u8 = b't';
const REDUCE: u8 = b'R';
const MARK: u8 = b'(';
const BINUNICODE: u8 = b'X';
const BININT: u8 = b'J';
const BININT1: u8 = b'K';
const BININT2: u8 = b'M';
const LONG1: u8 = 0x8a;
const NEWFALSE: u8 = 0x89;
const BINPERSID: u8 = b'Q';
const SETITEMS: u8 = b'u';
const STOP: u8 = b'.';

struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, op: u8) {
        self.0.push(op);
    }

    fn global(&mut self, module: &str, name: &str) {
        self.op(GLOBAL);
        self.0.extend(format!("{module}\n{name}\n").bytes());
    }

    fn text(&mut self, text: &str) {
        // A length of four bytes. No name has 4 GiB: it would not fit beside its tensor's other copies in memory.
        self.op(BINUNICODE);
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.bytes());
    }

    fn int(&mut self, n: usize) {
        match n {
            0..=0xff => self.0.extend([BININT1, n as u8]),
            0x100..=0xffff => {
                self.op(BININT2);
                self.0.extend((n as u16).to_le_bytes());
            }
            0x1_0000..=0x7fff_ffff => {
                self.op(BININT);
                self.0.extend((n as u32).to_le_bytes());
            }
            _ => {
                // Nine bytes, so that the sign is plus.
                self.0.extend([LONG1, 9]);
                self.0.extend((n as u64).to_le_bytes());
                self.op(0);
            }
        }
    }

    fn ints(&mut self, numbers: &[usize]) {
        match numbers.len() {
            0 => self.op(EMPTY_TUPLE),
            n @ 1..=3 => {
                numbers.iter().for_each(|n| self.int(*n));
                self.op(TUPLES[n - 1]);
            }
            _ => {
                self.op(MARK);
                numbers.iter().for_each(|n| self.int(*n));
                self.op(TUPLE);
            }
        }
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.op(EMPTY_TUPLE);
        self.op(REDUCE);
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, or `_v3` with an element type.
    fn tensor(&mut self, key: &str, tensor: &Tensor) {
        let typed = storage(tensor.dtype());
        let rebuild = if typed.is_ok() { "_rebuild_tensor_v2" } else { "_rebuild_tensor_v3" };
        self.global("torch._utils", rebuild);
        self.op(MARK);
        // ('storage', class, key, device, number of elements); an untyped storage counts bytes.
        self.op(MARK);
        self.text("storage");
        match typed {
            Ok(class) => self.global("torch", class),
            Err(_) => self.global("torch.storage", "UntypedStorage"),
        }
        self.text(key);
        self.text("cpu");
        self.int(if typed.is_ok() { tensor.element_count() } else { tensor.bytes().len() });
        self.op(TUPLE);
        self.op(BINPERSID);
        self.int(0);
        self.ints(tensor.shape());
        self.ints(&strides(tensor.shape()));
        self.op(NEWFALSE);
        self.ordered_dict();
        if let Err(dtype) = typed {
            self.global("torch", dtype);
        }
        self.op(TUPLE);
        self.op(REDUCE);
    }
}

/// The storage class of a dtype, or the dtype's name where PyTorch has no class for it.
fn storage(dtype: DType) -> Result<&'static str, &'static str> {
    match dtype {
        DType::F64 => Ok("DoubleStorage"),
        DType::F32 => Ok("FloatStorage"),
        DType::F16 => Ok("HalfStorage"),
        DType::BF16 => Ok("BFloat16Storage"),
        DType::I64 => Ok("LongStorage"),
        DType::I32 => Ok("IntStorage"),
        DType::I16 => Ok("ShortStorage"),
        DType::I8 => Ok("CharStorage"),
        DType::U8 => Ok("ByteStorage"),
        DType::Bool => Ok("BoolStorage"),
        DType::U64 => Err("uint64"),
        DType::U32 => Err("uint32"),
        DType::U16 => Err("uint16"),
    }
}

/// Row-major strides in elements, as PyTorch has them: a dimension of 0 counts as 1.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        // An empty tensor may claim any shape.
        strides[i - 1] = shape[i].max(1).saturating_mul(strides[i]);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_opcode_that_holds_them() {
        let int = |n| {
            let mut pickle = Pickle(Vec::new());
            pickle.int(n);
            pickle.0
        };
        assert_eq!(int(255), [BININT1, 255]);
        assert_eq!(int(256), [BININT2, 0, 1]);
        assert_eq!(int(65_536), [BININT, 0, 0, 1, 0]);
        assert_eq!(int(0x7fff_ffff), [BININT, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(int(0x8000_0000), [LONG1, 9, 0, 0, 0, 0x80, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn strides_are_row_major() {
        assert!(strides(&[]).is_empty());
        assert_eq!(strides(&[5]), [1]);
        assert_eq!(strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(strides(&[2, 0, 3]), [3, 3, 1]);
    }
}
