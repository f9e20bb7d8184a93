//! How a job that is away comes back.

use std::mem;
use std::sync::{Arc, Mutex};

use tinyftp::storage::Error;

use super::Blocking;
use super::batch::Batch;
use super::pool::lock;

/// Where a job is.
pub enum Place<S: Blocking> {
    /// The loop has it.
    Here(S::Job),
    /// A worker has it, or is to get it.
    Away(Arc<Errand<S>>),
    /// It has come to its end.
    Ended(Result<u64, Error>),
}

/// A job that is back, or has ended, and what it brings.
pub struct Back<S: Blocking> {
    pub place: Place<S>,
    pub cargo: Cargo,
}

/// What a worker got from the storage.
pub enum Cargo {
    Nothing,
    /// What [`poll_open`](tinyftp::storage::Storage::poll_open) tells.
    Opened(Option<u64>),
    /// A chunk of a file; at the end it is empty.
    Read(Vec<u8>),
    /// The chunk that is written, empty for the next one.
    Written(Vec<u8>),
    Entries(Batch),
}

/// An errand, which both sides know: the loop, which waits for it, and the worker, who runs it.
pub struct Errand<S: Blocking>(Mutex<State<S>>);

enum State<S: Blocking> {
    UnderWay,
    Done(Back<S>),
    CalledOff,
}

impl<S: Blocking> Errand<S> {
    /// One that is waited for.
    pub fn new() -> Self {
        Self(Mutex::new(State::UnderWay))
    }

    /// One that is not.
    pub fn called_off() -> Self {
        Self(Mutex::new(State::CalledOff))
    }

    /// The worker is done. Where nobody waits any more, it keeps what it has got.
    pub fn deliver(&self, back: Back<S>) -> Result<(), Back<S>> {
        match &mut *lock(&self.0) {
            State::CalledOff => Err(back),
            state => {
                *state = State::Done(back);
                Ok(())
            }
        }
    }

    /// What has come back, if it has.
    pub fn collect(&self) -> Option<Back<S>> {
        let mut state = lock(&self.0);
        match &*state {
            State::Done(_) => Self::take(&mut state, State::UnderWay),
            State::UnderWay | State::CalledOff => None,
        }
    }

    /// Nobody waits any more. What has come back already is the caller's.
    pub fn call_off(&self) -> Option<Back<S>> {
        Self::take(&mut lock(&self.0), State::CalledOff)
    }

    pub fn is_called_off(&self) -> bool {
        matches!(*lock(&self.0), State::CalledOff)
    }

    fn take(state: &mut State<S>, next: State<S>) -> Option<Back<S>> {
        match mem::replace(state, next) {
            State::Done(back) => Some(back),
            State::UnderWay | State::CalledOff => None,
        }
    }
}
