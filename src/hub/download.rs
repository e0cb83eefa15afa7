//! One download: asked for, resumed, watched and verified.

use super::pace::{Until, Window};
use super::published::{matches, mismatch};
use super::{Hub, Progress, Weights};
use crate::file::{regular_file, sha256};
use crate::{Error, Result};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use ureq::http::{Response, StatusCode, header};

impl Hub {
    /// Brings the file, or the rest of it, and gives it its name once it is verified.
    pub(super) fn download(
        &self,
        weights: &Weights,
        until: Until,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf> {
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
}

/// Whether a partial answer's first byte is number `start`: `Content-Range: bytes START-END/TOTAL`.
fn starts_at<B>(response: &Response<B>, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
    first == Some(start)
}
