//! Makes something of each item on several threads, a little ahead of its turn.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

/// Results that a thread may have waiting, besides the one that it is about.
const WAITING: usize = 2;

/// What `make` makes of `items`, in their order. Each thread makes every so-many-th, and is held up while what it made
/// waits for its turn, so that memory is bounded. One thread is the caller's own.
pub fn in_order<'scope, T: Sync, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    items: &'scope [T],
    threads: usize,
    make: &'scope (impl Fn(&T) -> R + Sync),
) -> Box<dyn Iterator<Item = R> + 'scope> {
    let threads = threads.min(items.len());
    if threads < 2 {
        return Box::new(items.iter().map(make));
    }
    let start = |first: usize| {
        let (sender, made) = sync_channel(WAITING);
        let work = move || items.iter().skip(first).step_by(threads).map(make).try_for_each(|item| sender.send(item));
        // Where no thread can be started, the sender is dropped with the work.
        let _ = Builder::new().spawn_scoped(scope, work);
        made
    };
    let made: Vec<Receiver<R>> = (0..threads).map(start).collect();
    let turns = items.iter().enumerate();
    Box::new(turns.map(move |(i, item)| made[i % threads].recv().unwrap_or_else(|_| make(item))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        let items: Vec<u64> = (0..50).collect();
        // Every seventh takes long.
        let make = |i: &u64| {
            thread::sleep(std::time::Duration::from_micros(if i.is_multiple_of(7) { 3000 } else { 10 }));
            i * 2
        };
        for (threads, count) in [(1, 50), (2, 50), (3, 50), (8, 50), (8, 3), (8, 1), (8, 0), (0, 5)] {
            let made: Vec<u64> = thread::scope(|scope| in_order(scope, &items[..count], threads, &make).collect());
            assert_eq!(made, (0..count as u64).map(|i| i * 2).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn threads_do_not_run_far_ahead_and_stop_when_nobody_waits() {
        let items = [(); 100];
        let begun = AtomicUsize::new(0);
        let make = |_: &()| begun.fetch_add(1, SeqCst);
        thread::scope(|scope| {
            let mut made = in_order(scope, &items, 4, &make);
            for taken in 1..=20 {
                made.next();
                // Of each thread: what waits, what it holds, and what it is about when one is taken.
                assert!(begun.load(SeqCst) <= taken + 4 * (WAITING + 1));
            }
        });
        assert!(begun.load(SeqCst) <= 20 + 4 * (WAITING + 1), "threads went on");
    }
}
