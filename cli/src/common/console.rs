//! Standard output and standard error of both programs.
//!
//! Results go to standard output, and the exit code says whether they arrived. All else goes to standard error, where
//! nobody has to listen: what cannot be written there is lost, and that is no error. `println!` and its like, which
//! panic, have no place in a program here.

use clap::Parser;
use clap::error::ContextValue;
use pretrained::{Error, printable};
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Why a command ends before its end.
#[derive(Debug)]
pub enum Stop {
    /// Whoever reads the results has seen enough, as `head` has after ten lines. This is no error.
    ReaderLeft,
    Failed(Error),
}

pub type Result<T, E = Stop> = std::result::Result<T, E>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Where results go: standard output or a file.
pub struct Sink {
    out: BufWriter<Box<dyn Write>>,
    name: PathBuf,
    terminal: bool,
}

impl Sink {
    pub fn stdout() -> Self {
        let (name, terminal) = (PathBuf::from("standard output"), io::stdout().is_terminal());
        let out: Box<dyn Write> = match descriptor::stdout() {
            Ok(file) => file,
            Err(error) => Box::new(Closed(error)),
        };
        Self { out: BufWriter::new(out), name, terminal }
    }

    /// The file at `path`, in the place of what is there.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(|error| Error::io(path, error))?;
        Ok(Self { out: BufWriter::new(Box::new(file)), name: path.to_owned(), terminal: false })
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes to the buffer.
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let written = self.out.write_all(bytes.as_ref());
        self.arrived(written)
    }

    /// Hands on what is in the buffer. Results that are left there when a sink is dropped may be lost without a word.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.out.flush();
        self.arrived(flushed)
    }

    /// What an attempt to write here means for the command.
    pub fn arrived(&self, written: io::Result<()>) -> Result<()> {
        // What Windows says of a pipe whose other end is gone is not always that it is broken.
        const PIPE_NOT_CONNECTED: i32 = 233;
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::ReaderLeft,
            _ if cfg!(windows) && error.raw_os_error() == Some(PIPE_NOT_CONNECTED) => Stop::ReaderLeft,
            _ => Stop::Failed(Error::io(&self.name, error)),
        })
    }
}

/// For what writes piece by piece; its error goes to [`Sink::arrived`].
impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A standard output that is not there.
struct Closed(io::Error);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(self.0.kind(), self.0.to_string()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on remarks are dropped, and progress bars hidden.
pub fn be_quiet() {
    QUIET.store(true, Relaxed);
}

/// Whether nobody wants to see remarks or bars.
pub fn is_quiet() -> bool {
    QUIET.load(Relaxed)
}

/// Says something on standard error, unless that is to be quiet.
pub fn remark(text: impl Display) {
    if !is_quiet() {
        complain(text);
    }
}

/// Says on standard error what went wrong.
pub fn complain(text: impl Display) {
    aside(&format!("{}: {}\n", env!("CARGO_BIN_NAME"), printable::lines(&text.to_string())));
}

/// Writes to standard error as it is, what was asked for, such as a table of times.
pub fn aside(text: &str) {
    // Nobody has to listen.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Lets a panic say that it is a bug, before it says where.
pub fn report_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        complain("this is a bug in pretrained; please report it, with the file that led to it");
        usual(panic);
    }));
}

/// The command line, or the exit code where it is to be left at that: help was asked for, or it makes no sense.
pub fn arguments<A: Parser>() -> Result<A, u8> {
    A::try_parse().map_err(|message| {
        if message.use_stderr() {
            refuse(&message);
            return FAILED;
        }
        let mut out = Sink::stdout();
        let help = message.render();
        // Consoles of Windows may show the codes themselves.
        let coloured = out.is_terminal() && !cfg!(windows);
        let help = if coloured { help.ansi().to_string() } else { help.to_string() };
        exit_code(out.put(help.trim_end()).and_then(|()| out.put("\n")).and_then(|()| out.flush()), 0, |_| Vec::new())
    })
}

/// Says what is wrong with the command line. It may quote names of files, which the shell has put there for a `*`.
fn refuse(message: &clap::Error) {
    let steers = |argument: OsString| argument.to_string_lossy().contains(printable::is_hidden);
    if !env::args_os().any(steers) {
        // In colour, where there is any.
        let _ = message.print();
        return;
    }
    let quoted = message.context().filter_map(|(_, value)| match value {
        ContextValue::String(text) => Some(printable::line(text).into_owned()),
        _ => None,
    });
    complain(format_args!("{}: {} (see --help)", message.kind(), quoted.collect::<Vec<_>>().join(", ")));
}

/// The exit code of what could not be done.
const FAILED: u8 = 2;

/// The exit code of a command that has `earned` one so far, with a word on what ended it, and `hints` at the way out.
pub fn exit_code(ended: Result<()>, earned: u8, hints: impl FnOnce(&Error) -> Vec<String>) -> u8 {
    match ended {
        Ok(()) | Err(Stop::ReaderLeft) => earned,
        Err(Stop::Failed(error)) => {
            complain(&error);
            hints(&error).iter().for_each(complain);
            FAILED
        }
    }
}

/// The descriptor behind standard output, which Rust's own `Stdout` takes for sound when it is closed.
#[cfg(unix)]
mod descriptor {
    use super::{AtomicBool, Relaxed, Write};
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;

    /// Whether standard output was closed when the program began. Rust opens /dev/null in its place before `main`, and
    /// nothing tells that from a /dev/null that the user has chosen; so this looks earlier.
    static CLOSED: AtomicBool = AtomicBool::new(false);

    extern "C" fn look() {
        CLOSED.store(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err(), Relaxed);
    }

    // SAFETY: the section holds pointers to functions that the loader calls before `main`. This one makes a system call
    // and stores a byte; it needs nothing of what Rust sets up for `main`.
    #[allow(unsafe_code)]
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static BEFORE_MAIN: extern "C" fn() = look;

    /// Standard output without a buffer, whose errors are those of the system.
    pub fn stdout() -> io::Result<Box<dyn Write>> {
        if CLOSED.load(Relaxed) {
            return Err(io::Error::other("it is closed"));
        }
        Ok(Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }
}

#[cfg(not(unix))]
mod descriptor {
    use super::Write;
    use std::io;

    pub fn stdout() -> io::Result<Box<dyn Write>> {
        Ok(Box::new(io::stdout()))
    }
}
