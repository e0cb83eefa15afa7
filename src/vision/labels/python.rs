//! Lists and dicts of labels as Python writes them, `{0: 'tench'}`: strings, numbers, and what holds them.

use serde_json::{Map, Value};

/// How deep lists and dicts lie within each other, at most.
const MOST_DEPTH: usize = 8;

/// The literal that `text` is, or that a variable is set to, where it is one that JSON does not have.
pub fn literal(text: &str) -> Option<&str> {
    let mut text = text.trim_start();
    while let Some((_, rest)) = text.strip_prefix('#').and_then(|comment| comment.split_once('\n')) {
        text = rest.trim_start();
    }
    let name = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let literal = match name.trim_start().strip_prefix('=') {
        Some(value) if name.len() < text.len() => value.trim_start(),
        _ => text,
    };
    let within = literal.strip_prefix(['{', '[', '('])?.trim_start();
    // A list of dicts.
    let within =
        if literal.starts_with('[') { within.strip_prefix('{').unwrap_or(within).trim_start() } else { within };
    let (is_dict, is_tuple) = (literal.starts_with('{'), literal.starts_with('('));
    let begins = |c: char| c == '\'' || c == '#' || (is_dict && c.is_ascii_digit()) || (is_tuple && c == '"');
    (literal.len() < text.len() || within.starts_with(begins)).then_some(literal)
}

/// The value of a literal; the keys of dicts are written as text.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip();
    if parser.at < text.len() { Err(parser.fault("more follows than one list or dict")) } else { Ok(value) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn fault(&self, reason: &str) -> String {
        let line = 1 + self.text[..self.at].matches('\n').count();
        format!("damaged Python literal, line {line} of it: {reason}")
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Passes over blanks and comments.
    fn skip(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            let comment =
                rest[blank..].starts_with('#').then(|| rest[blank..].find('\n').unwrap_or(rest.len() - blank));
            self.at += blank + comment.unwrap_or(0);
            if comment.is_none() {
                return;
            }
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.skip();
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MOST_DEPTH {
            return Err(self.fault("lists lie too deep within each other"));
        }
        if self.takes('{') {
            let mut dict = Map::new();
            while !self.takes('}') {
                let key = match self.value(MOST_DEPTH)? {
                    Value::String(key) => key,
                    Value::Number(key) => key.to_string(),
                    _ => return Err(self.fault("a key is neither a number nor a string")),
                };
                if !self.takes(':') {
                    return Err(self.fault("expected `:` after a key"));
                }
                let value = self.value(depth + 1)?;
                if dict.insert(key, value).is_some() {
                    return Err(self.fault("two keys are alike"));
                }
                self.separated('}')?;
            }
            return Ok(Value::Object(dict));
        }
        for (open, close) in [('[', ']'), ('(', ')')] {
            if self.takes(open) {
                let mut list = Vec::new();
                while !self.takes(close) {
                    list.push(self.value(depth + 1)?);
                    self.separated(close)?;
                }
                return Ok(Value::Array(list));
            }
        }
        match self.peek() {
            Some('0'..='9') => self.number(),
            Some('\'' | '"') => self.strings(),
            Some('u') => {
                self.at += 1;
                self.strings()
            }
            _ => Err(self.fault("expected a string, a number, a list or a dict")),
        }
    }

    /// A comma, or the end that `close` is.
    fn separated(&mut self, close: char) -> Result<(), String> {
        let end = self.takes(',') || {
            self.skip();
            self.peek() == Some(close)
        };
        if end { Ok(()) } else { Err(self.fault(&format!("expected `,` or `{close}`"))) }
    }

    fn number(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..end].parse().map_err(|_| self.fault("a number is too large"))?;
        self.at += end;
        Ok(number.into())
    }

    /// A string, or several in a row, which are one.
    fn strings(&mut self) -> Result<Value, String> {
        let mut value = String::new();
        while let Some(quote @ ('\'' | '"')) = self.peek() {
            self.at += 1;
            loop {
                let c = self.peek().filter(|c| *c != '\n').ok_or_else(|| self.fault("a string does not end"))?;
                self.at += c.len_utf8();
                match c {
                    '\\' => value.extend(self.escaped()?),
                    c if c == quote => break,
                    c => value.push(c),
                }
            }
            self.skip();
        }
        Ok(Value::String(value))
    }

    /// What a backslash and what follows it stand for.
    fn escaped(&mut self) -> Result<Option<char>, String> {
        let c = self.peek().ok_or_else(|| self.fault("a string does not end"))?;
        self.at += c.len_utf8();
        let digits = match c {
            '\n' => return Ok(None),
            '\\' | '\'' | '"' => return Ok(Some(c)),
            'n' => return Ok(Some('\n')),
            't' => return Ok(Some('\t')),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.fault("an escape is not known")),
        };
        let code = self.text.get(self.at..self.at + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        self.at += digits;
        code.and_then(char::from_u32).map(Some).ok_or_else(|| {
            self.at -= digits;
            self.fault("an escape is not a character")
        })
    }
}
