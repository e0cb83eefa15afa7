//! The hub against a server on this machine that answers as real ones do, and as they should not.
#![cfg(feature = "hub")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pretrained::hub::{Fetched, Hub, Progress, TORCHVISION, Weights, find};
use pretrained::{Error, ErrorKind};
use tempfile::TempDir;

const BODY: &str = "the weights of a very small network";
/// As sha256sum prints it for `BODY`.
const SHA256: &str = "c21c222426ba964bd09efff0d51f55f1ee799182b46add56890970b02e058d27";
const FILE: &str = "tiny-c21c2224.pth";

/// A server that gives one prepared answer to each connection, in order, and then is gone.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

enum Answer {
    /// These bytes, then the connection closes.
    Closes(String),
    /// These bytes, then silence until the client goes, or for 5 seconds.
    Stalls(String),
    /// The first bytes, then the others one by one, each after a pause, until the client goes.
    Drips(String, String, Duration),
}

impl Server {
    fn new(answers: impl IntoIterator<Item = Answer> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/models/tiny.pth", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let answers: Vec<Answer> = answers.into_iter().collect();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                seen.lock().unwrap().push(request(&mut stream));
                // The client may hang up early; that is its right.
                match answer {
                    Answer::Closes(text) => drop(stream.write_all(text.as_bytes())),
                    Answer::Stalls(text) => {
                        let _ = stream.write_all(text.as_bytes());
                        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                        let _ = stream.read(&mut [0]);
                    }
                    Answer::Drips(text, rest, pause) => {
                        let _ = stream.write_all(text.as_bytes());
                        for byte in rest.bytes() {
                            thread::sleep(pause);
                            if stream.write_all(&[byte]).is_err() {
                                break;
                            }
                        }
                    }
                }
            }
        });
        Self { url, requests }
    }

    fn weights(&self) -> Weights<'_> {
        Weights { model: "tiny", file: FILE, url: &self.url, sha256: &SHA256[..8] }
    }

    /// The `Range` header of each request so far.
    fn ranges(&self) -> Vec<Option<String>> {
        let range = |request: &String| {
            let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with("range:"))?;
            Some(line["range:".len()..].trim().to_owned())
        };
        self.requests.lock().unwrap().iter().map(range).collect()
    }
}

/// The head of one request.
fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> Answer {
    Answer::Closes(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}"))
}

fn ok(body: &str) -> Answer {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// The whole length is promised, 10 bytes come.
fn truncated() -> Answer {
    answer("200 OK", &format!("Content-Length: {}\r\n", BODY.len()), &BODY[..10])
}

fn partial(start: usize, body: &str) -> Answer {
    let headers = format!(
        "Content-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\n",
        body.len(),
        start + body.len() - 1,
        BODY.len()
    );
    answer("206 Partial Content", &headers, body)
}

fn fetch(hub: &Hub, weights: &Weights) -> Result<Fetched, Error> {
    hub.fetch(weights, &mut |_| ())
}

fn text(result: Result<Fetched, Error>) -> String {
    match result {
        Err(error) if error.kind() == ErrorKind::Download => error.to_string(),
        other => panic!("expected Error::Download, found {other:?}"),
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn part(folder: &Path) -> std::path::PathBuf {
    folder.join(format!("{FILE}.part"))
}

fn assert_whole(fetched: &Fetched, folder: &Path) {
    assert_eq!(fetched.path, folder.join(FILE));
    assert_eq!(fs::read_to_string(&fetched.path).unwrap(), BODY);
    assert_eq!(names(folder), [FILE.to_owned(), format!("{FILE}.lock")]);
}

#[test]
fn a_good_file_is_downloaded_with_progress_and_then_found() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([ok(BODY)]);
    // The folder is made when it is needed.
    let hub = Hub::new(cache.path().join("a/b"));
    let mut steps = Vec::new();
    let fetched = hub.fetch(&server.weights(), &mut |step| steps.push(step)).unwrap();
    assert_whole(&fetched, &hub.cache);
    assert!(fetched.notes.is_empty());
    let total = Some(BODY.len() as u64);
    assert_eq!(steps.first(), Some(&Progress { received: 0, total }));
    assert_eq!(steps.last(), Some(&Progress { received: BODY.len() as u64, total }));

    let again = fetch(&hub, &server.weights()).unwrap();
    assert_eq!(again, fetched);
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn all_the_digits_of_the_hash_may_be_given_in_either_case() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([ok(BODY)]);
    let sha256 = SHA256.to_ascii_uppercase();
    let weights = Weights { sha256: &sha256, ..server.weights() };
    assert_whole(&fetch(&Hub::new(cache.path()), &weights).unwrap(), cache.path());
}

#[test]
fn a_truncated_file_is_an_error_and_is_resumed() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([truncated(), partial(10, &BODY[10..])]);
    let hub = Hub::new(cache.path());
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("stopped after 10 of 35 bytes"), "{error}");
    assert!(error.contains(part(cache.path()).to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(part(cache.path())).unwrap(), BODY[..10]);
    assert!(!cache.path().join(FILE).exists());

    let mut steps = Vec::new();
    let fetched = hub.fetch(&server.weights(), &mut |step| steps.push(step)).unwrap();
    assert_whole(&fetched, cache.path());
    assert_eq!(steps.first(), Some(&Progress { received: 10, total: Some(35) }));
    assert_eq!(server.ranges(), [None, Some("bytes=10-".into())]);
}

#[test]
fn a_server_that_ignores_the_range_starts_anew() {
    let cache = TempDir::new().unwrap();
    fs::write(part(cache.path()), format!("{BODY} and more than the file has")).unwrap();
    let server = Server::new([ok(BODY)]);
    assert_whole(&fetch(&Hub::new(cache.path()), &server.weights()).unwrap(), cache.path());
    assert_eq!(server.ranges(), [Some("bytes=62-".into())]);
}

#[test]
fn a_range_that_does_not_exist_starts_anew() {
    let cache = TempDir::new().unwrap();
    fs::write(part(cache.path()), BODY).unwrap();
    let server = Server::new([answer("416 Range Not Satisfiable", "Content-Length: 0\r\n", ""), ok(BODY)]);
    assert_whole(&fetch(&Hub::new(cache.path()), &server.weights()).unwrap(), cache.path());
    assert_eq!(server.ranges(), [Some("bytes=35-".into()), None]);
}

#[test]
fn another_range_than_the_one_asked_for_starts_anew() {
    let cache = TempDir::new().unwrap();
    fs::write(part(cache.path()), &BODY[..10]).unwrap();
    let server = Server::new([partial(9, &BODY[9..]), ok(BODY)]);
    assert_whole(&fetch(&Hub::new(cache.path()), &server.weights()).unwrap(), cache.path());
    assert_eq!(server.ranges(), [Some("bytes=10-".into()), None]);
}

#[test]
fn a_refusal_keeps_what_an_earlier_download_brought() {
    let cache = TempDir::new().unwrap();
    fs::write(part(cache.path()), &BODY[..10]).unwrap();
    let server = Server::new([answer("503 Service Unavailable", "Content-Length: 4\r\n", "busy")]);
    let error = text(fetch(&Hub::new(cache.path()), &server.weights()));
    assert!(error.contains("503 Service Unavailable"), "{error}");
    assert_eq!(fs::read_to_string(part(cache.path())).unwrap(), BODY[..10]);
}

#[test]
fn a_wrong_hash_is_an_error_that_names_both_and_leaves_nothing() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([ok("not at all the weights")]);
    let error = text(fetch(&Hub::new(cache.path()), &server.weights()));
    assert!(error.contains("expected c21c2224"), "{error}");
    assert!(error.contains("begins with f36ae132"), "{error}");
    assert_eq!(names(cache.path()), [format!("{FILE}.lock")]);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([answer("404 Not Found", "Content-Length: 4\r\n", "none")]);
    let error = text(fetch(&Hub::new(cache.path()), &server.weights()));
    assert!(error.contains("404 Not Found") && error.contains("give another file as the weights"), "{error}");
    assert!(!cache.path().join(FILE).exists());
}

#[test]
fn a_file_in_torchs_folder_needs_no_request() {
    let (torch, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(torch.path().join(FILE), BODY).unwrap();
    let server = Server::new([]);
    let hub = Hub { torch: Some(torch.path().into()), ..Hub::new(cache.path()) };
    let fetched = fetch(&hub, &server.weights()).unwrap();
    assert_eq!(fetched, Fetched { path: torch.path().join(FILE), notes: vec![] });
    assert!(names(cache.path()).is_empty());
}

#[test]
fn a_wrong_file_in_torchs_folder_is_passed_over_and_mentioned() {
    let (torch, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let wrong = torch.path().join(FILE);
    fs::write(&wrong, "half a file").unwrap();
    let server = Server::new([ok(BODY)]);
    let hub = Hub { torch: Some(torch.path().into()), ..Hub::new(cache.path()) };
    for _ in ["downloaded", "found in the cache"] {
        let fetched = fetch(&hub, &server.weights()).unwrap();
        assert_whole(&fetched, cache.path());
        assert_eq!(fetched.notes.len(), 1);
        assert!(fetched.notes[0].contains(wrong.to_str().unwrap()), "{}", fetched.notes[0]);
        assert!(fetched.notes[0].contains("expected c21c2224"), "{}", fetched.notes[0]);
    }
    assert_eq!(fs::read_to_string(wrong).unwrap(), "half a file");
}

#[test]
fn a_file_in_the_cache_serves_offline() {
    let cache = TempDir::new().unwrap();
    fs::write(cache.path().join(FILE), BODY).unwrap();
    let hub = Hub { offline: true, ..Hub::new(cache.path()) };
    let fetched = fetch(&hub, &Server::new([]).weights()).unwrap();
    assert_eq!(fetched.path, cache.path().join(FILE));
    assert_eq!(names(cache.path()), [FILE]);
}

#[test]
fn a_corrupted_file_in_the_cache_is_replaced() {
    let cache = TempDir::new().unwrap();
    fs::write(cache.path().join(FILE), "rotten").unwrap();
    let server = Server::new([ok(BODY)]);
    let fetched = fetch(&Hub::new(cache.path()), &server.weights()).unwrap();
    assert_whole(&fetched, cache.path());
    assert_eq!(fetched.notes.len(), 1);
}

/// The address, every folder with what is wrong in it, and the ways out.
fn assert_helps(error: &str, server: &Server, torch: &Path, cache: &Path) {
    let wrong = format!("{}: not the published file", cache.join(FILE).display());
    let into = format!("put the file into {}", cache.display());
    for part in [&server.url, torch.to_str().unwrap(), &wrong, "give another file as the weights", &into] {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_that_helps() {
    let (torch, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(cache.path().join(FILE), "rotten").unwrap();
    let server = Server::new([]);
    let hub = Hub { torch: Some(torch.path().into()), ..Hub::new(cache.path()) };
    let error = text(fetch(&hub, &server.weights()));
    assert_helps(&error, &server, torch.path(), cache.path());
}

#[test]
fn offline_makes_no_request_and_an_error_that_helps() {
    let (torch, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(cache.path().join(FILE), "rotten").unwrap();
    let server = Server::new([ok(BODY)]);
    let hub = Hub { torch: Some(torch.path().into()), offline: true, ..Hub::new(cache.path()) };
    let error = text(fetch(&hub, &server.weights()));
    assert_helps(&error, &server, torch.path(), cache.path());
    assert!(error.contains("PRETRAINED_OFFLINE"), "{error}");
    assert!(server.ranges().is_empty());
    assert_eq!(names(cache.path()), [FILE]);
}

#[test]
fn a_body_over_the_limit_is_refused_with_or_without_its_length() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([ok(BODY), answer("200 OK", "", &BODY.repeat(10_000))]);
    let hub = Hub { limit: 34, ..Hub::new(cache.path()) };
    let mut most = 0;
    for found in ["has 35 bytes", "has at least"] {
        let result = hub.fetch(&server.weights(), &mut |step| most = most.max(step.received));
        let error = text(result);
        assert!(error.contains(found) && error.contains("over the limit of 34"), "{error}");
        assert!(!cache.path().join(FILE).exists());
    }
    assert_eq!(most, 0);
    assert_eq!(names(cache.path()), [format!("{FILE}.lock")]);
    assert_eq!(server.ranges(), [None, None]);
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let cache = TempDir::new().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len());
    let answers = [Answer::Stalls(format!("{head}{}", &BODY[..10])), Answer::Stalls("HTTP/1.1 200".into())];
    let server = Server::new(answers);
    let hub = Hub { stall_timeout: Duration::from_millis(100), ..Hub::new(cache.path()) };
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("stopped after 10 of 35 bytes: timeout"), "{error}");
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("timeout") && error.contains("give another file as the weights"), "{error}");
    assert_eq!(fs::read_to_string(part(cache.path())).unwrap(), BODY[..10]);
}

/// An answer of whose body the first 10 bytes come at once, and then a byte every 20 ms.
fn dripping() -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", 10 + 1000, &BODY[..10]);
    Answer::Drips(head, "x".repeat(1000), Duration::from_millis(20))
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_is_given_up() {
    let cache = TempDir::new().unwrap();
    let head = Answer::Drips("HTTP/1.1 200 OK\r\nX: ".into(), "a".repeat(1000), Duration::from_millis(20));
    let server = Server::new([dripping(), head]);
    // Silent for less than the time-out each time.
    let hub = Hub { stall_timeout: Duration::from_millis(300), ..Hub::new(cache.path()) };
    let started = std::time::Instant::now();
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("bytes a second") && error.contains("Hub::lowest_speed"), "{error}");
    assert!(error.contains("the next try resumes"), "{error}");
    let kept = fs::read_to_string(part(cache.path())).unwrap();
    assert!(kept.starts_with(&BODY[..10]) && kept.len() > 10 && kept.len() < 100, "{kept}");
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("timeout"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_fetch_has_an_end() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([dripping()]);
    let hub = Hub { deadline: Duration::from_millis(300), lowest_speed: 0, ..Hub::new(cache.path()) };
    let started = std::time::Instant::now();
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("Hub::deadline") && error.contains("the next try resumes"), "{error}");
    // Another that never ends holds the lock.
    let lock = fs::OpenOptions::new().write(true).open(cache.path().join(format!("{FILE}.lock"))).unwrap();
    lock.lock().unwrap();
    let error = text(fetch(&hub, &server.weights()));
    assert!(error.contains("another process holds") && error.contains("Hub::deadline"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[cfg(unix)]
#[test]
fn links_in_the_cache_are_not_written_through() {
    let other = TempDir::new().unwrap();
    let precious = other.path().join("precious");
    for name in [format!("{FILE}.part"), format!("{FILE}.lock")] {
        let cache = TempDir::new().unwrap();
        fs::write(&precious, "precious").unwrap();
        let link = cache.path().join(&name);
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let error = fetch(&Hub::new(cache.path()), &Server::new([ok(BODY)]).weights()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.to_string().contains(&name) && error.to_string().contains("is a link"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        // Nor is a file made where the link leads.
        fs::remove_file(&precious).unwrap();
        assert!(fetch(&Hub::new(cache.path()), &Server::new([ok(BODY)]).weights()).is_err());
        assert!(!precious.exists());
    }
    // A copy that somebody else keeps is read through a link.
    let cache = TempDir::new().unwrap();
    fs::write(&precious, BODY).unwrap();
    std::os::unix::fs::symlink(&precious, cache.path().join(FILE)).unwrap();
    assert!(fetch(&Hub::new(cache.path()), &Server::new([]).weights()).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_the_cache_is_not_waited_at() {
    for name in [FILE.to_owned(), format!("{FILE}.part"), format!("{FILE}.lock")] {
        let cache = TempDir::new().unwrap();
        let pipe = cache.path().join(&name);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let server = Server::new([ok(BODY)]);
        let fetched = fetch(&Hub::new(cache.path()), &server.weights());
        if name == FILE {
            // Passed over and, like any file that is not the published one, replaced.
            let fetched = fetched.unwrap();
            assert!(fetched.notes[0].contains("not a regular file"), "{:?}", fetched.notes);
            assert_whole(&fetched, cache.path());
        } else {
            let error = fetched.unwrap_err().to_string();
            assert!(error.contains(&name) && error.contains("not a regular file"), "{error}");
        }
    }
}

#[test]
fn the_server_never_names_the_file() {
    let cache = TempDir::new().unwrap();
    let headers = "Location: /../../elsewhere.pth\r\nContent-Length: 0\r\n";
    let named = "Content-Disposition: attachment; filename=\"../evil.pth\"\r\nContent-Length: 35\r\n";
    let server = Server::new([answer("302 Found", headers, ""), answer("200 OK", named, BODY)]);
    let folder = cache.path().join("cache");
    assert_whole(&fetch(&Hub::new(&folder), &server.weights()).unwrap(), &folder);
    assert_eq!(names(cache.path()), ["cache"]);
    assert_eq!(server.ranges().len(), 2);
}

#[test]
fn two_at_once_download_once() {
    let cache = TempDir::new().unwrap();
    let server = Server::new([ok(BODY)]);
    let hub = Hub::new(cache.path());
    let (first, second) = thread::scope(|scope| {
        let mut second = None;
        let first = hub.fetch(&server.weights(), &mut |_| {
            second.get_or_insert_with(|| scope.spawn(|| fetch(&hub, &server.weights())));
            // Time for the second to run into the first, were there no lock.
            thread::sleep(Duration::from_millis(50));
        });
        (first, second.unwrap().join().unwrap())
    });
    assert_whole(&first.unwrap(), cache.path());
    assert_whole(&second.unwrap(), cache.path());
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn weights_that_lead_out_of_the_cache_or_verify_nothing_are_refused() {
    let cache = TempDir::new().unwrap();
    let hub = Hub::new(cache.path());
    let good = Weights { model: "tiny", file: FILE, url: "http://127.0.0.1:1/", sha256: SHA256 };
    let bad_files = ["", "..", "../tiny.pth", "/tiny.pth", "..\\tiny.pth", "c:tiny.pth", "tiny\0.pth"];
    let bad_hashes = ["", "c21c222", "c21c222g", &format!("{SHA256}0"), "αβγδε"];
    let files = bad_files.map(|file| Weights { file, ..good });
    for weights in files.into_iter().chain(bad_hashes.map(|sha256| Weights { sha256, ..good })) {
        let result = fetch(&hub, &weights);
        assert!(matches!(result, Err(Error::Usage(_))), "{weights:?}: {result:?}");
    }
    assert!(names(cache.path()).is_empty());
}

#[test]
fn the_table_agrees_with_itself() {
    for weights in TORCHVISION {
        assert_eq!(find(weights.model).unwrap(), *weights);
        assert_eq!(weights.url, format!("https://download.pytorch.org/models/{}", weights.file));
        assert!(weights.file.ends_with(&format!("-{}.pth", weights.sha256)), "{weights:?}");
    }
    let error = find("shufflenet").unwrap_err().to_string();
    assert!(error.contains("`shufflenet`") && error.contains("shufflenetv2_x1_0"), "{error}");
}
