//! A bounded queue between asynchronous callers, who never wait for room, and threads, who wait for
//! jobs.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Something to do for somebody who may leave before it is done.
pub(super) trait Job {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

/// What a thread finds in the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<J> {
    /// A job that somebody waits for.
    Job(J),
    /// Nothing came in the time given.
    Idle,
    /// The queue is closed; nothing will come.
    Closed,
}

/// The queue: first come, first served, but for those who have left.
pub(super) struct JobQueue<J> {
    room: usize,
    state: Mutex<State<J>>,
    /// Signalled when a job has arrived, or when the queue is closed.
    changed: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    abandoned: u64,
    closed: bool,
}

impl<J: Job> JobQueue<J> {
    /// An empty queue for at most `room` jobs; at least 1.
    pub(super) fn new(room: usize) -> Self {
        let state = State { waiting: VecDeque::new(), abandoned: 0, closed: false };
        Self { room: room.max(1), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds a job, or gives it back where there is no room.
    pub(super) fn push(&self, job: J) -> Result<(), J> {
        let mut state = self.state();
        if state.waiting.len() >= self.room {
            // Nobody is kept out by those who have left.
            let before = state.waiting.len();
            state.waiting.retain(|job| !job.is_abandoned());
            let left = before - state.waiting.len();
            state.abandoned += u64::try_from(left).unwrap_or(u64::MAX);
        }
        if state.waiting.len() >= self.room {
            return Err(job);
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the next job, waiting for one: `patience` long, or for ever.
    pub(super) fn next(&self, patience: Option<Duration>) -> Next<J> {
        let mut state = self.state();
        loop {
            if state.closed {
                return Next::Closed;
            }
            match state.waiting.pop_front() {
                Some(job) if job.is_abandoned() => {
                    state.abandoned += 1;
                    continue;
                }
                Some(job) => return Next::Job(job),
                None => {}
            }
            let Some(patience) = patience else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let woken = self.changed.wait_timeout(state, patience);
            let (woken, waited) = woken.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() && state.waiting.is_empty() && !state.closed {
                return Next::Idle;
            }
        }
    }

    /// Sends everybody home. Jobs that still wait are dropped with the queue.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// How many jobs were dropped because nobody waited for them any more.
    pub(super) fn abandoned(&self) -> u64 {
        self.state().abandoned
    }

    /// No change of the state is left half done by a panic, so a poisoned lock is as good.
    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[derive(Clone, Debug)]
    struct Errand(u32, Arc<AtomicBool>);

    impl Errand {
        fn new(number: u32) -> Self {
            Self(number, Arc::default())
        }

        fn abandon(&self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }

    impl Job for Errand {
        fn is_abandoned(&self) -> bool {
            self.1.load(Ordering::SeqCst)
        }
    }

    fn next(queue: &JobQueue<Errand>) -> Option<u32> {
        match queue.next(Some(Duration::ZERO)) {
            Next::Job(errand) => Some(errand.0),
            Next::Idle | Next::Closed => None,
        }
    }

    #[test]
    fn serves_in_order_and_refuses_beyond_its_room() {
        let queue = JobQueue::new(2);
        assert!(queue.push(Errand::new(1)).is_ok());
        assert!(queue.push(Errand::new(2)).is_ok());
        assert_eq!(queue.push(Errand::new(3)).expect_err("there is no room").0, 3);
        assert_eq!(queue.waiting(), 2);
        assert_eq!([next(&queue), next(&queue), next(&queue)], [Some(1), Some(2), None]);
        assert!(queue.push(Errand::new(4)).is_ok());
    }

    #[test]
    fn forgets_those_who_have_left() {
        let queue = JobQueue::new(2);
        let [first, second, third] = [1, 2, 3].map(Errand::new);
        for errand in [&first, &second] {
            assert!(queue.push(errand.clone()).is_ok());
        }
        first.abandon();
        assert!(queue.push(third.clone()).is_ok(), "the place of the first is free");
        second.abandon();
        assert_eq!([next(&queue), next(&queue)], [Some(3), None]);
        assert_eq!(queue.abandoned(), 2);
    }

    #[test]
    fn closing_wakes_and_ends_a_waiting_thread() {
        let queue = Arc::new(JobQueue::<Errand>::new(1));
        let waiter = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || matches!(queue.next(None), Next::Closed))
        };
        queue.close();
        assert!(waiter.join().expect("waiting does not panic"));
        assert!(matches!(queue.next(Some(Duration::from_mins(10))), Next::Closed));
    }
}
