//! Named pretrained weights: found in torch's cache or in this crate's own, else downloaded, verified and kept.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ureq::http::{Response, StatusCode, header};

use crate::catalog::{self, Published};
use crate::file::{regular_file, sha256};
use crate::{Error, Result};

/// One published file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights<'a> {
    /// The network's name, as torchvision spells it: `shufflenetv2_x1_0`.
    pub model: &'a str,
    /// The name that the file bears in every cache; never taken from the server.
    pub file: &'a str,
    /// Where the file is published.
    pub url: &'a str,
    /// The first digits of the file's SHA-256, in hexadecimal: at least 8, at most all 64.
    pub sha256: &'a str,
}

/// The weights that torchvision publishes, as the [catalogue](crate::catalog) has them.
pub const TORCHVISION: [Weights<'static>; 18] = {
    let mut all = [Weights { model: "", file: "", url: "", sha256: "" }; 18];
    let (mut row, mut found) = (0, 0);
    while row < catalog::MODELS.len() {
        let model = &catalog::MODELS[row];
        if let Some(Published { file, url, sha256 }) = model.published {
            all[found] = Weights { model: model.name, file, url, sha256 };
            found += 1;
        }
        row += 1;
    }
    assert!(found == all.len());
    all
};

/// The published weights of the network called `model`.
///
/// # Errors
/// [`Error::Usage`], which lists the names there are, when none is published under this one.
pub fn find(model: &str) -> Result<Weights<'static>> {
    TORCHVISION.into_iter().find(|weights| weights.model == model).ok_or_else(|| {
        let known = TORCHVISION.map(|weights| weights.model).join(", ");
        Error::Usage(format!("no weights are published for `{model}`, only for {known}"))
    })
}

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk, those of an earlier, interrupted download included.
    pub received: u64,
    /// Bytes of the whole file, where the server tells.
    pub total: Option<u64>,
}

/// A verified file of weights on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it lies.
    pub path: PathBuf,
    /// A sentence for each file that bears the right name but was passed over or replaced, and why.
    pub notes: Vec<String>,
}

/// Where weights are looked for, and how they are downloaded.
///
/// Several threads and processes may fetch the same file at once: while one downloads, it holds a lock on
/// `<file>.lock` in the cache folder, the others wait for it and then find the file. The empty lock files stay, as
/// removing one would let two processes hold different files of the same name.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Torch's folder of checkpoints. It is looked into first and never written to.
    pub torch: Option<PathBuf>,
    /// This crate's folder of weights, made when first needed.
    pub cache: PathBuf,
    /// Never use the network.
    pub offline: bool,
    /// The most bytes that a file may have.
    pub limit: u64,
    /// How long finding the host may take, and then how long connecting to it.
    pub connect_timeout: Duration,
    /// How long a connected server may be silent, and how long its answer may take to begin.
    pub stall_timeout: Duration,
    /// The fewest bytes a second that the server may send, on the average of a [`stall_timeout`](Self::stall_timeout).
    pub lowest_speed: u64,
    /// How long a [`fetch`](Self::fetch) may take in all, waiting for another that brings the same file included. What
    /// has come until then is kept, and the next one goes on from there.
    pub deadline: Duration,
    /// Go through the proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, save to the hosts in `NO_PROXY`.
    pub env_proxy: bool,
}

impl Hub {
    /// A hub that keeps its files in `cache`, knows no folder of torch and takes nothing from the environment.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            torch: None,
            cache: cache.into(),
            offline: false,
            limit: 1 << 30,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            lowest_speed: 1 << 10,
            deadline: Duration::from_secs(60 * 60),
            env_proxy: false,
        }
    }

    /// The hub that the environment describes; an empty variable counts as unset.
    ///
    /// - [`torch`](Self::torch) is `hub/checkpoints` in `TORCH_HOME`, else in `torch` in `XDG_CACHE_HOME`, else in
    ///   `~/.cache/torch`, as torch has it on every system.
    /// - [`cache`](Self::cache) is `PRETRAINED_CACHE`, else `pretrained` in the system's folder for caches.
    /// - [`offline`](Self::offline) is on when `PRETRAINED_OFFLINE` is set to anything but `0`.
    /// - [`env_proxy`](Self::env_proxy) is on.
    ///
    /// # Errors
    /// [`Error::Usage`] when neither `PRETRAINED_CACHE` nor a home folder is there.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(&|name| std::env::var_os(name), dirs::home_dir(), dirs::cache_dir())
    }

    fn from_vars(
        var: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
        caches: Option<PathBuf>,
    ) -> Result<Self> {
        let var = |name| var(name).filter(|value| !value.is_empty());
        // Torch expands `~` itself, so it may well stand in a variable that no shell has seen.
        let folder = |name| {
            let path = PathBuf::from(var(name)?);
            match (path.strip_prefix("~"), &home) {
                (Ok(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(path),
            }
        };
        let torch = folder("TORCH_HOME")
            .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("torch")))
            .or_else(|| Some(home.as_ref()?.join(".cache").join("torch")));
        let cache = folder("PRETRAINED_CACHE").or_else(|| Some(caches?.join("pretrained"))).ok_or_else(|| {
            Error::Usage("there is no home folder to keep weights in: set PRETRAINED_CACHE to a folder".into())
        })?;
        Ok(Self {
            torch: torch.map(|torch| torch.join("hub").join("checkpoints")),
            offline: var("PRETRAINED_OFFLINE").is_some_and(|value| value != "0"),
            env_proxy: true,
            ..Self::new(cache)
        })
    }

    /// The path of `weights` on this machine, downloaded when no verified copy is there yet.
    ///
    /// `progress` is called before the first byte of a download and after every piece of it. An interrupted download
    /// leaves `<file>.part` in the cache folder, and the next one resumes there.
    ///
    /// # Errors
    /// - [`Error::Usage`]: `weights` has no plain file name or no usable SHA-256.
    /// - [`Error::Download`]: the hub is offline, the server cannot be reached, refuses, falls silent, is too slow,
    ///   closes too early or sends too much, or the file is not the published one.
    /// - [`Error::Io`]: the cache folder cannot be written, or its file system has no locks; `<file>.part` or
    ///   `<file>.lock` is a link or no regular file.
    pub fn fetch(&self, weights: &Weights, progress: &mut dyn FnMut(Progress)) -> Result<Fetched> {
        check(weights)?;
        let found = self.look(weights);
        if let Ok(fetched) = found {
            return Ok(fetched);
        }
        if self.offline {
            return Err(self.unavailable(weights, "not downloaded, as PRETRAINED_OFFLINE or Hub::offline is set"));
        }

        let until = Until::after(self.deadline);
        fs::create_dir_all(&self.cache).map_err(|e| Error::io(&self.cache, e))?;
        let _held = self.lock(weights, until)?;
        // Whoever held the lock before may have brought the file.
        match self.look(weights) {
            Ok(fetched) => Ok(fetched),
            Err(notes) => Ok(Fetched { path: self.download(weights, until, progress)?, notes }),
        }
    }

    /// Waits until no other process or thread brings the file.
    fn lock(&self, weights: &Weights, until: Until) -> Result<File> {
        const PAUSE: Duration = Duration::from_millis(20);
        let path = self.cache.join(format!("{}.lock", weights.file));
        let io = |e| Error::io(&path, e);
        let file = regular_file::read_and_write(&path).map_err(io)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(io(error)),
                Err(TryLockError::WouldBlock) if until.left().is_zero() => {
                    let reason = format!("another process holds {}; {}", path.display(), self.late());
                    return Err(self.unavailable(weights, &reason));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }

    fn late(&self) -> String {
        format!("it was given up after {:?} (Hub::deadline)", self.deadline)
    }

    /// The first verified copy in the folders, or why the files of that name are none.
    fn look(&self, weights: &Weights) -> Result<Fetched, Vec<String>> {
        let mut notes = Vec::new();
        for folder in self.folders() {
            let path = folder.join(weights.file);
            match sha256::of_file(&path) {
                Ok(found) if matches(&found, weights) => return Ok(Fetched { path, notes }),
                Ok(found) => notes.push(format!("{}: {}", path.display(), mismatch(&found, weights))),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => notes.push(format!("{}: {e}", path.display())),
            }
        }
        Err(notes)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.torch.as_deref().into_iter().chain([self.cache.as_path()])
    }

    fn download(&self, weights: &Weights, until: Until, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
        let part = self.cache.join(format!("{}.part", weights.file));
        let on_disk = |e| Error::io(&part, e);
        let mut out = regular_file::read_and_write(&part).map_err(on_disk)?;
        let mut received = out.metadata().map_err(on_disk)?.len();

        let mut response = self.get(weights, received, until)?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE
            || status == StatusCode::PARTIAL_CONTENT && !starts_at(&response, received)
        {
            received = 0;
            response = self.get(weights, 0, until)?;
        }
        match response.status() {
            StatusCode::OK => received = 0,
            StatusCode::PARTIAL_CONTENT if received > 0 => {}
            status => return Err(self.unavailable(weights, &format!("the server answered {status}"))),
        }

        let total = response.body().content_length().map(|rest| rest.saturating_add(received));
        let too_large = |found: &str| {
            let reason = format!("the file has {found} bytes, over the limit of {} (Hub::limit)", self.limit);
            Error::download(weights.url, reason)
        };
        if let Some(total) = total.filter(|&total| total > self.limit) {
            return Err(too_large(&total.to_string()));
        }

        out.set_len(received).map_err(on_disk)?;
        out.seek(SeekFrom::Start(received)).map_err(on_disk)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        progress(Progress { received, total });
        let mut window = Window::begin();
        loop {
            let stopped = |why: String| {
                let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                let kept = part.display();
                let reason = format!("stopped after {received}{of} bytes: {why}; the next try resumes from {kept}");
                Err(Error::download(weights.url, reason))
            };
            // A body that ends before its Content-Length is an error of the reader's.
            let piece = match body.read(&mut buffer) {
                Ok(0) => break,
                _ if until.left().is_zero() => return stopped(self.late()),
                Ok(length) => &buffer[..length],
                Err(e) => return stopped(e.to_string()),
            };
            if let Some(speed) = window.take(piece.len() as u64, self.stall_timeout)
                && speed < self.lowest_speed
            {
                let lowest = self.lowest_speed;
                return stopped(format!(
                    "the server sent {speed} bytes a second, and {lowest} are the fewest (Hub::lowest_speed)"
                ));
            }
            received += piece.len() as u64;
            if received > self.limit {
                drop(out);
                fs::remove_file(&part).map_err(on_disk)?;
                return Err(too_large(&format!("at least {received}")));
            }
            out.write_all(piece).map_err(on_disk)?;
            progress(Progress { received, total });
        }

        // On disk before it gets its name. The folder is not synced: a name lost with the power is downloaded again.
        out.sync_all().map_err(on_disk)?;
        // What was written, and not what may lie under its name by now.
        out.seek(SeekFrom::Start(0)).map_err(on_disk)?;
        let found = sha256::of(&mut out).map_err(on_disk)?;
        drop(out);
        if !matches(&found, weights) {
            fs::remove_file(&part).map_err(on_disk)?;
            let reason = format!("{}; it was removed, try again", mismatch(&found, weights));
            return Err(Error::download(weights.url, reason));
        }
        let path = self.cache.join(weights.file);
        fs::rename(&part, &path).map_err(|e| Error::io(&path, e))?;
        Ok(path)
    }

    /// The server's answer to a request for all bytes from `start` on.
    fn get(&self, weights: &Weights, start: u64, until: Until) -> Result<Response<ureq::Body>> {
        let config = ureq::Agent::config_builder()
            .user_agent(concat!("pretrained/", env!("CARGO_PKG_VERSION")))
            // A redirect must not lead from https to http.
            .https_only(weights.url.starts_with("https:"))
            .http_status_as_error(false)
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_global(Some(until.left()))
            .timeout_recv_response(Some(self.stall_timeout))
            .timeout_per_read(Some(self.stall_timeout))
            .timeout_per_write(Some(self.stall_timeout))
            .proxy(if self.env_proxy { ureq::Proxy::try_from_env() } else { None });
        let mut request = config.build().new_agent().get(weights.url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        request.call().map_err(|e| self.unavailable(weights, &e.into_io().to_string()))
    }

    /// Weights that are neither here nor to be had: every place tried, and the ways out.
    fn unavailable(&self, weights: &Weights, reason: &str) -> Error {
        let file = weights.file;
        let cache = self.cache.display();
        let mut text = format!("{reason}; {file} is not in");
        for (n, folder) in self.folders().enumerate() {
            text += &format!("{} {}", if n > 0 { " or" } else { "" }, folder.display());
        }
        for note in self.look(weights).err().into_iter().flatten() {
            text += &format!("; {note}");
        }
        text += &format!("; give another file as the weights, or put the file into {cache}");
        Error::download(weights.url, text)
    }
}

/// Refuses what would be written outside of the cache folder, or could not be verified.
fn check(weights: &Weights) -> Result<()> {
    let Weights { model, file, sha256, .. } = weights;
    // Backslash and colon are ordinary on Unix but lead elsewhere on Windows.
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':', '\0']) {
        return Err(Error::Usage(format!("weights of `{model}`: expected a plain file name, found `{file}`")));
    }
    if !(8..=64).contains(&sha256.len()) || !sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let expected = "expected 8 to 64 hexadecimal digits of SHA-256";
        return Err(Error::Usage(format!("weights of `{model}`: {expected}, found `{sha256}`")));
    }
    Ok(())
}

/// A moment that something must be over by.
#[derive(Clone, Copy)]
struct Until {
    begun: Instant,
    time: Duration,
}

impl Until {
    fn after(time: Duration) -> Self {
        Self { begun: Instant::now(), time }
    }

    fn left(self) -> Duration {
        self.time.saturating_sub(self.begun.elapsed())
    }
}

/// The stretch of time over which a speed is measured, and what has come in it.
struct Window {
    begun: Instant,
    bytes: u64,
}

impl Window {
    fn begin() -> Self {
        Self { begun: Instant::now(), bytes: 0 }
    }

    /// Counts `bytes`; where the window has lasted for `time`, gives its bytes a second and begins anew.
    fn take(&mut self, bytes: u64, time: Duration) -> Option<u64> {
        self.bytes = self.bytes.saturating_add(bytes);
        let lasted = self.begun.elapsed();
        if lasted < time {
            return None;
        }
        let speed = (self.bytes as f64 / lasted.as_secs_f64()) as u64;
        *self = Self::begin();
        Some(speed)
    }
}

fn matches(found: &str, weights: &Weights) -> bool {
    found[..weights.sha256.len()].eq_ignore_ascii_case(weights.sha256)
}

fn mismatch(found: &str, weights: &Weights) -> String {
    let expected = weights.sha256;
    let found = &found[..expected.len()];
    format!("not the published file: its SHA-256 begins with {found}, expected {expected}")
}

/// Whether a partial answer's first byte is number `start`: `Content-Range: bytes START-END/TOTAL`.
fn starts_at<B>(response: &Response<B>, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    first == Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(vars: &[(&str, &str)]) -> Hub {
        let var = |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Hub::from_vars(&var, Some("/home/me".into()), Some("/caches".into())).unwrap()
    }

    #[test]
    fn an_empty_environment_means_the_home_folder() {
        let hub = hub(&[("TORCH_HOME", ""), ("PRETRAINED_CACHE", ""), ("PRETRAINED_OFFLINE", "")]);
        assert_eq!(hub.torch.unwrap(), Path::new("/home/me/.cache/torch/hub/checkpoints"));
        assert_eq!(hub.cache, Path::new("/caches/pretrained"));
        assert!(!hub.offline && hub.env_proxy);
    }

    #[test]
    fn variables_come_before_the_home_folder() {
        let both = hub(&[("TORCH_HOME", "/torch"), ("XDG_CACHE_HOME", "/xdg"), ("PRETRAINED_CACHE", "~/mine")]);
        assert_eq!(both.torch.unwrap(), Path::new("/torch/hub/checkpoints"));
        assert_eq!(both.cache, Path::new("/home/me/mine"));
        let xdg = hub(&[("XDG_CACHE_HOME", "/xdg")]);
        assert_eq!(xdg.torch.unwrap(), Path::new("/xdg/torch/hub/checkpoints"));
    }

    #[test]
    fn offline_is_any_value_but_zero() {
        assert!(hub(&[("PRETRAINED_OFFLINE", "1")]).offline);
        assert!(hub(&[("PRETRAINED_OFFLINE", "yes")]).offline);
        assert!(!hub(&[("PRETRAINED_OFFLINE", "0")]).offline);
    }

    #[test]
    fn without_a_home_a_cache_must_be_named() {
        let error = Hub::from_vars(&|_| None, None, None).unwrap_err();
        assert!(error.to_string().contains("PRETRAINED_CACHE"), "{error}");
    }
}
