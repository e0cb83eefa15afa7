//! Reads pickles as inert data: containers, numbers, strings and the names of what they would call; nothing is called.
//!
//! Values live in one flat list and refer to each other by number. So a value that a pickle mentions a million times
//! is held once, lists may hold themselves, and neither nesting nor dropping recurses.

mod calls;
mod containers;
mod cursor;
mod literal;
mod machine;
mod stack;
mod text;

pub(super) use machine::read;

use bytes::Bytes;
use calls::Harm;

/// A value's place in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u32);

impl Id {
    /// The number of the value in [`Pickle::values`].
    pub fn place(self) -> usize {
        self.0 as usize
    }
}

/// What a pickle holds. Containers hold the places of their items.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`: two's complement, little-endian.
    Long(Bytes),
    Float(f64),
    Str(String),
    Bytes(Bytes),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    /// `dict`, and `OrderedDict` and its like.
    Dict(Vec<(Id, Id)>),
    /// A class or function by its name, which is never looked up. Both are `Str`.
    Global {
        module: Id,
        name: Id,
    },
    /// What calling `class` with `args` would have made, with the state it would have been given and, of a subclass of
    /// a container, the list or dict of its items.
    Object {
        class: Id,
        args: Id,
        state: Option<Id>,
        items: Option<Id>,
    },
    /// Something outside the pickle, such as a tensor's storage.
    Persistent(Id),
}

/// Everything that one pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
    end: usize,
}

impl Pickle {
    /// The value that the pickle stands for.
    pub fn root(&self) -> Id {
        self.root
    }

    /// Where the pickle ends in the bytes that it was read from.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The calls that would harm whoever let Python load this, of which nothing was called.
    pub fn harm(&self) -> Harm {
        let mut harm = Harm::default();
        for value in &self.values {
            if let Value::Object { class, .. } = value
                && let Some((module, name)) = self.class_name(*class)
            {
                harm.called(module, name);
            }
        }
        harm
    }

    /// Module and name of the class of the object at `id`, also where it comes with its source text.
    pub fn class(&self, id: Id) -> Option<(&str, &str)> {
        let Value::Object { class, .. } = self.get(id) else { return None };
        self.class_name(*class)
    }

    /// Module and name of the class that stands at `class`. PyTorch's legacy stream wraps one with its source text, as
    /// `('module', class, file, text)` outside the pickle.
    pub fn class_name(&self, class: Id) -> Option<(&str, &str)> {
        match self.get(class) {
            Value::Persistent(parts) => self.global(*self.tuple(*parts)?.get(1)?),
            _ => self.global(class),
        }
    }

    /// The attributes of the object at `id`, where it was given any.
    pub fn attributes(&self, id: Id) -> Option<Id> {
        let Value::Object { state: Some(state), .. } = self.get(id) else { return None };
        match self.get(*state) {
            // With `__slots__`: the attributes, and those in slots.
            Value::Tuple(parts) => parts.first().copied(),
            _ => Some(*state),
        }
    }

    /// Every value, in the order of making.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    pub fn get(&self, id: Id) -> &Value {
        // The machine hands out only places that it has filled.
        &self.values[id.0 as usize]
    }

    pub fn str(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of the dict at `id`, or of an object whose class is made from `dict`.
    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(items) => Some(items),
            Value::Object { items: Some(items), .. } => match self.get(*items) {
                Value::Dict(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value under the text `key` of the dict at `id`; the last one, as in Python, where there are several.
    pub fn item(&self, id: Id, key: &str) -> Option<Id> {
        self.dict(id)?.iter().rev().find(|(k, _)| self.str(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// Module and name of the class or function at `id`.
    pub fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Value::Global { module, name } => Some((self.str(*module)?, self.str(*name)?)),
            _ => None,
        }
    }

    /// What kind of value is at `id`, in Python's words.
    pub fn kind(&self, id: Id) -> String {
        let word = match self.get(id) {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::Long(_) => "an int",
            Value::Float(_) => "a float",
            Value::Str(_) => "a str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Set(_) => "a set",
            Value::Dict(_) => "a dict",
            Value::Global { .. } => {
                return match self.global(id) {
                    Some((module, name)) => super::source::short(&format!("the class or function {module}.{name}")),
                    None => "a class or function".into(),
                };
            }
            Value::Persistent(_) => {
                return match self
                    .class_name(id)
                    .filter(|(module, name)| !format!("{module}.{name}").ends_with("Storage"))
                {
                    Some((module, name)) => super::source::short(&format!("the class or function {module}.{name}")),
                    None => "a storage".into(),
                };
            }
            Value::Object { .. } => {
                return match self.class(id) {
                    Some((module, name)) => {
                        let article = if module.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                        super::source::short(&format!("{article} {module}.{name}"))
                    }
                    None => "an object".into(),
                };
            }
        };
        word.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Limits;
    use crate::checkpoint::source::Source;
    use std::path::Path;

    fn pickled(bytes: &[u8]) -> Pickle {
        let limits = Limits::default();
        let bytes = Bytes::copy_from_slice(bytes);
        let source = Source::new(Path::new("x"), bytes.clone(), &limits);
        read(&source, "the test", &bytes, 0).unwrap()
    }

    /// The value as Python would print it, for values that do not nest deeply.
    fn repr(pickle: &Pickle, id: Id) -> String {
        let list = |items: &[Id]| items.iter().map(|id| repr(pickle, *id)).collect::<Vec<_>>().join(", ");
        match pickle.get(id) {
            Value::None => "None".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Long(bytes) => format!("Long{:?}", &bytes[..]),
            Value::Float(value) => format!("{value:?}"),
            Value::Str(text) => format!("{text:?}"),
            Value::Bytes(bytes) => format!("b{:?}", bytes.escape_ascii().to_string()),
            Value::List(items) => format!("[{}]", list(items)),
            Value::Tuple(items) => format!("({})", list(items)),
            Value::Set(items) => format!("set({})", list(items)),
            Value::Dict(items) => {
                let item = |(key, value): &(Id, Id)| format!("{}: {}", repr(pickle, *key), repr(pickle, *value));
                format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(", "))
            }
            Value::Global { .. } => pickle.global(id).map(|(module, name)| format!("{module}.{name}")).unwrap(),
            Value::Object { class, args, state, items } => {
                let state = state.map(|state| format!("<{}>", repr(pickle, state))).unwrap_or_default();
                let items = items.map(|items| format!("+{}", repr(pickle, items))).unwrap_or_default();
                format!("{}{}{state}{items}", repr(pickle, *class), repr(pickle, *args))
            }
            Value::Persistent(id) => format!("&{}", repr(pickle, *id)),
        }
    }

    fn reads(bytes: &[u8], expected: &str) {
        let pickle = pickled(bytes);
        assert_eq!(repr(&pickle, pickle.root()), expected);
        assert_eq!(pickle.end(), bytes.len());
        assert_eq!(pickle.harm().reason(), None);
    }

    /// What Python 3.12 dumps of one value under each protocol:
    /// `{"a": [1, -2, 300, 70000, 2**40, 2**70, 1.5, None, True], "b": ("x", b"\xff", "é")}`.
    #[test]
    fn every_protocol_gives_the_same() {
        let expected = "{\"a\": [1, -2, 300, 70000, 1099511627776, Long[0, 0, 0, 0, 0, 0, 0, 0, 64], 1.5, None, true], \
                        \"b\": (\"x\", b\"\\\\xff\", \"é\")}";
        for dump in PYTHON_DUMPS {
            reads(dump, expected);
        }
    }

    const PYTHON_DUMPS: [&[u8]; 6] = [
        b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naI300\naI70000\naL1099511627776L\naL1180591620717411303424L\naF1.5\naNaI01\nasVb\np3\n(Vx\np4\nc_codecs\nencode\np5\n(V\xff\np6\nVlatin1\np7\ntp8\nRp9\nV\xe9\np10\ntp11\ns.",
        b"}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00L1099511627776L\nL1180591620717411303424L\nG?\xf8\x00\x00\x00\x00\x00\x00NI01\neX\x01\x00\x00\x00bq\x03(X\x01\x00\x00\x00xq\x04c_codecs\nencode\nq\x05(X\x02\x00\x00\x00\xc3\xbfq\x06X\x06\x00\x00\x00latin1q\x07tq\x08Rq\x09X\x02\x00\x00\x00\xc3\xa9q\ntq\x0bu.",
        b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@G?\xf8\x00\x00\x00\x00\x00\x00N\x88eX\x01\x00\x00\x00bq\x03X\x01\x00\x00\x00xq\x04c_codecs\nencode\nq\x05X\x02\x00\x00\x00\xc3\xbfq\x06X\x06\x00\x00\x00latin1q\x07\x86q\x08Rq\x09X\x02\x00\x00\x00\xc3\xa9q\n\x87q\x0bu.",
        b"\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@G?\xf8\x00\x00\x00\x00\x00\x00N\x88eX\x01\x00\x00\x00bq\x03X\x01\x00\x00\x00xq\x04C\x01\xffq\x05X\x02\x00\x00\x00\xc3\xa9q\x06\x87q\x07u.",
        b"\x80\x04\x95M\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@G?\xf8\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01b\x94\x8c\x01x\x94C\x01\xff\x94\x8c\x02\xc3\xa9\x94\x87\x94u.",
        b"\x80\x05\x95M\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@G?\xf8\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01b\x94\x8c\x01x\x94C\x01\xff\x94\x8c\x02\xc3\xa9\x94\x87\x94u.",
    ];

    #[test]
    fn older_and_rarer_opcodes() {
        reads(b"(I1\nI01\nL5L\nF0.5\nS'a'\nVb\\u00e9\nt.", "(1, true, 5, 0.5, \"a\", \"b\u{e9}\")");
        reads(b"(T\x01\0\0\0aU\x01bX\x01\0\0\0ct.", "(\"a\", \"b\", \"c\")");
        reads(b"(lp0\nI1\nag0\n.", "[1]");
        reads(b"(NNd.", "{None: None}");
        reads(b"(K\x01K\x02K\x031K\x04.", "4");
        reads(b"\x8f(K\x01K\x02\x90.", "set(1, 2)");
        reads(b"(K\x01\x91.", "set(1)");
        reads(b"\x96\x02\0\0\0\0\0\0\0ab.", "b\"ab\"");
        reads(b"P12\n.", "&\"12\"");
        reads(b"U\x01aQ.", "&\"a\"");
        reads(b"(N2(t.", "()");
    }

    #[test]
    fn containers_are_made_and_others_only_named() {
        reads(b"ccollections\nOrderedDict\n)RU\x01aK\x01s}U\x09_metadataNsb.", "{\"a\": 1}");
        reads(b"ccollections\nOrderedDict\n(((U\x01aK\x01lltR.", "{\"a\": 1}");
        reads(b"ccollections\ndefaultdict\ncbuiltins\nlist\n\x85RK\x01]s.", "{1: []}");
        reads(b"c__builtin__\nset\n](K\x01K\x02e\x85R.", "set(1, 2)");
        reads(b"c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfX\x06\0\0\0latin1\x86R.", "b\"a\\\\xff\"");
        reads(b"ctorch\nSize\n(K\x02K\x03t\x85R.", "torch.Size((2, 3))");
        reads(b"ctorch\nSize\n)\x81K\x07b.", "torch.Size()<7>");
        reads(b"ctorch\nSize\n)}\x92.", "torch.Size()");
        // A class of objects is data, and so is whatever is called.
        reads(b"cm\nNet\n)\x81}b.", "m.Net()<{}>");
        reads(b"ccopyreg\n_reconstructor\n(cm\nNet\nc__builtin__\nobject\nNtR}b.", "m.Net()<{}>");
        reads(b"(U\x06modulecm\nNet\nU\x04a.pyU\x06sourcetQ)\x81.", "&(\"module\", m.Net, \"a.py\", \"source\")()");
        reads(b"ccopy_reg\n__newobj__\n(cm\nNet\nK\x01tR.", "m.Net(1)");
        reads(b"cm\nNet\n)}U\x01aK\x01s\x92.", "m.Net()");
        // Subclasses of containers keep their items.
        reads(b"cm\nDict\n)R(U\x01aK\x01u.", "m.Dict()+{\"a\": 1}");
        reads(b"ccollections\ndeque\n])\x86RK\x01aK\x02a.", "collections.deque([], ())+[1, 2]");
        reads(b"ccopy_reg\n_reconstructor\n(cm\nDict\nc__builtin__\ndict\n}U\x01aK\x01stR.", "m.Dict()+{\"a\": 1}");
        // A word that has attributes, as cloudpickle writes classes.
        reads(b"cm\nNet\n}b.", "m.Net");
    }

    #[test]
    fn harmful_calls_are_named_however_they_are_written() {
        let harmful = pickled(b"cos\nsystem\nU\x02rm\x85Rcm\nNet\n)R(ios\npopen\n.");
        let reason = harmful.harm().reason().unwrap();
        assert!(reason.starts_with("refused os.system, os.popen: a checkpoint"), "{reason}");
        let wrapped = pickled(b"(U\x06modulecos\nsystem\nNNtQ)R.");
        assert!(wrapped.harm().reason().unwrap().starts_with("refused os.system:"));
        // A name alone does nothing.
        assert_eq!(pickled(b"cos\nsystem\n.").harm().reason(), None);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let pickle = pickled(b"}(U\x01aK\x01U\x01aK\x02u.");
        assert_eq!(pickle.item(pickle.root(), "a").map(|id| repr(&pickle, id)), Some("2".into()));
        assert_eq!(pickle.item(pickle.root(), "b"), None);
    }
}
