//! What a worker does for a job.

use std::task::Poll;

use tinyftp::storage::Error;

use super::batch::Batch;
use super::errand::{Back, Cargo, Place};
use super::request::Request;
use super::{Blocking, Kind};

/// Bytes that are read ahead, or written, at a time.
pub const CHUNK: usize = 256 * 1024;

/// Something to do in a storage. It is done in turns, between which others have theirs.
pub enum Task<S: Blocking> {
    /// Begin an operation.
    Start(Request, Kind),
    /// Open what was begun.
    Open(S::Job, Kind),
    /// Read a chunk, into this buffer.
    Read(S::Job, Vec<u8>),
    /// Write a chunk, and finish the operation if that was the last one.
    Write { job: S::Job, bytes: Vec<u8>, written: usize, finish: bool },
    /// Fetch entries.
    List(S::Job, Batch),
    /// Throw the operation away.
    Cancel(S::Job),
}

/// What a turn has come to.
pub enum Turn<S: Blocking> {
    /// It is done. What is left of the job is dropped when that has been told, as it may take
    /// long.
    Done(Back<S>, Option<S::Job>),
    /// There is more to do.
    More(Task<S>),
}

impl<S: Blocking> Task<S> {
    /// One turn.
    pub fn go(self, storage: &mut S) -> Turn<S> {
        match self {
            Self::Start(request, kind) => match storage.start(request.op(), request.now) {
                Ok(job) => open(storage, job, kind),
                Err(error) => ended(Err(error)),
            },
            Self::Open(job, kind) => open(storage, job, kind),
            Self::Read(job, chunk) => read(storage, job, chunk),
            Self::Write { job, bytes, written, finish } => {
                write(storage, job, bytes, written, finish)
            }
            Self::List(job, batch) => list(storage, job, batch),
            Self::Cancel(_) => {
                self.cancel(storage);
                ended(Ok(0))
            }
        }
    }

    /// Nobody wants it any more.
    pub fn cancel(self, storage: &mut S) {
        match self {
            Self::Start(..) => {}
            Self::Open(job, _)
            | Self::Read(job, _)
            | Self::Write { job, .. }
            | Self::List(job, _)
            | Self::Cancel(job) => storage.cancel(job),
        }
    }
}

/// Opens an operation, and does of it what is done before it comes back first.
fn open<S: Blocking>(storage: &mut S, mut job: S::Job, kind: Kind) -> Turn<S> {
    match (storage.poll_open(&mut job), kind) {
        (Poll::Pending, _) => Turn::More(Task::Open(job, kind)),
        (Poll::Ready(Err(error)), _) => failed(storage, job, error),
        (Poll::Ready(Ok(_)), Kind::List(room)) => list(storage, job, Batch::with_room(room)),
        (Poll::Ready(Ok(_)), Kind::Change) => write(storage, job, Vec::new(), 0, true),
        (Poll::Ready(Ok(bytes)), Kind::Read | Kind::Write | Kind::Ask) => {
            here(job, Cargo::Opened(bytes))
        }
    }
}

fn read<S: Blocking>(storage: &mut S, mut job: S::Job, mut chunk: Vec<u8>) -> Turn<S> {
    chunk.resize(CHUNK, 0);
    match storage.poll_read(&mut job, &mut chunk) {
        Poll::Pending => Turn::More(Task::Read(job, chunk)),
        Poll::Ready(Err(error)) => failed(storage, job, error),
        Poll::Ready(Ok(count)) => {
            chunk.truncate(count);
            here(job, Cargo::Read(chunk))
        }
    }
}

fn write<S: Blocking>(
    storage: &mut S,
    mut job: S::Job,
    mut bytes: Vec<u8>,
    mut written: usize,
    finish: bool,
) -> Turn<S> {
    while written < bytes.len() {
        match storage.poll_write(&mut job, &bytes[written..]) {
            // Some of what is kept has been copied.
            Poll::Pending | Poll::Ready(Ok(0)) => {
                return Turn::More(Task::Write { job, bytes, written, finish });
            }
            Poll::Ready(Err(error)) => return failed(storage, job, error),
            Poll::Ready(Ok(count)) => written += count,
        }
    }
    if !finish {
        bytes.clear();
        return here(job, Cargo::Written(bytes));
    }
    match storage.poll_finish(&mut job) {
        Poll::Pending => Turn::More(Task::Write { job, bytes, written, finish }),
        Poll::Ready(result) => {
            Turn::Done(Back { place: Place::Ended(result), cargo: Cargo::Nothing }, Some(job))
        }
    }
}

fn list<S: Blocking>(storage: &mut S, mut job: S::Job, mut batch: Batch) -> Turn<S> {
    while !batch.is_full() {
        match storage.poll_entry(&mut job) {
            Poll::Pending if batch.is_empty() => return Turn::More(Task::List(job, batch)),
            Poll::Pending => break,
            Poll::Ready(Ok(Some(entry))) => batch.push(entry),
            Poll::Ready(end) => {
                let place = Place::Ended(end.map(|_| 0));
                storage.cancel(job);
                return Turn::Done(Back { place, cargo: Cargo::Entries(batch) }, None);
            }
        }
    }
    here(job, Cargo::Entries(batch))
}

fn here<S: Blocking>(job: S::Job, cargo: Cargo) -> Turn<S> {
    Turn::Done(Back { place: Place::Here(job), cargo }, None)
}

fn failed<S: Blocking>(storage: &mut S, job: S::Job, error: Error) -> Turn<S> {
    storage.cancel(job);
    ended(Err(error))
}

fn ended<S: Blocking>(result: Result<u64, Error>) -> Turn<S> {
    Turn::Done(Back { place: Place::Ended(result), cargo: Cargo::Nothing }, None)
}
