//! The one thread of a device that waits for runs on behalf of those who await them.

use super::lock::lock;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long it waits for one run before it looks whether an earlier one is awaited by now.
const PATIENCE: Duration = Duration::from_millis(2);

/// Waits for a run, or for an earlier one, for so long if it can, and wakes whoever awaits it if it is over. Returns
/// whether it is.
type Watch = Box<dyn FnMut(Duration) -> bool + Send>;

/// Runs that are awaited, by the order in which they were submitted, which is the order in which they end.
#[derive(Default)]
pub(super) struct Watcher(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    awaited: BTreeMap<u64, Watch>,
    started: bool,
    closed: bool,
}

impl Watcher {
    /// Has the thread call `watch` until it returns true. `order` is a number that grows from run to run.
    pub fn watch(&self, order: u64, watch: Watch) {
        let mut state = lock(&self.0.state);
        state.awaited.insert(order, watch);
        if !std::mem::replace(&mut state.started, true) {
            let shared = self.0.clone();
            let thread = std::thread::Builder::new().name("pretrained-watcher".to_owned());
            state.started = thread.spawn(move || shared.serve()).is_ok();
        }
        if state.started {
            drop(state);
            self.0.news.notify_one();
        } else {
            // Without a thread, the caller waits.
            let awaited = std::mem::take(&mut state.awaited);
            drop(state);
            awaited.into_values().for_each(|mut watch| while !watch(PATIENCE) {});
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.news.notify_one();
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some((order, mut watch)) = state.awaited.pop_first() {
                drop(state);
                let over = watch(PATIENCE);
                state = lock(&self.state);
                if !over {
                    state.awaited.insert(order, watch);
                }
            } else if state.closed {
                return;
            } else {
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("awaited", &lock(&self.0.state).awaited.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn runs_that_were_submitted_earlier_are_not_held_up_by_later_ones() {
        let watcher = Watcher::default();
        let (over, ended) = channel();
        let (release, released) = channel::<()>();
        let later = over.clone();
        let wait = move |_| released.try_recv().is_ok() && later.send(2).is_ok();
        watcher.watch(2, Box::new(wait));
        watcher.watch(1, Box::new(move |_| over.send(1).is_ok()));
        assert_eq!(ended.recv(), Ok(1));
        release.send(()).unwrap();
        assert_eq!(ended.recv(), Ok(2));
    }
}
