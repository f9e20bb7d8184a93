//! A [`Storage`] whose calls may wait, behind threads that do the waiting.
//!
//! A job is either here, where the loop has it, or away with a worker. What touches the file
//! system goes away, and while it is, every poll says `Pending`; the [`Bell`] rings when it is
//! back. Only bytes that can be had without waiting are read and written here: straight into the
//! transmit buffer, straight from the receive buffer. Else a worker reads a chunk ahead, or writes
//! one while the next is filled, so that a job never has more than two of them.
//!
//! | file | what it is |
//! |---|---|
//! | `pool` | the threads, and the queue of what waits for one |
//! | `task` | what a worker does for a job |
//! | `errand` | how that comes back, or is called off |
//! | `request` | an operation with paths of its own |
//! | `batch` | entries of a listing, fetched together |
//! | `bell` | what wakes the loop |

#[path = "workers/batch.rs"]
mod batch;
#[path = "workers/bell.rs"]
mod bell;
#[path = "workers/errand.rs"]
mod errand;
#[path = "workers/pool.rs"]
mod pool;
#[path = "workers/request.rs"]
mod request;
#[path = "workers/task.rs"]
mod task;

use std::io;
use std::mem;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tinyftp::storage::{Entry, Error, Op, Storage};
use tinyftp::time::Timestamp;

use batch::Batch;
use errand::{Back, Cargo, Place};
use pool::Pool;
use request::Request;
use task::{CHUNK, Task};

pub use bell::Bell;

/// Operations that may wait for a worker; one more is [`Error::Busy`]. Each session has one at
/// most, but those that are gone leave theirs in the queue while the disk is stuck.
const QUEUE_MAX: usize = 32 * 1024;

/// How long the end of the program waits for what workers still do.
const PATIENCE: Duration = Duration::from_secs(1);

/// A storage whose calls may wait. Each worker has a copy of its own.
pub trait Blocking: Storage<Job: Send> + Clone + Send + 'static {
    /// Does what [`poll_read`](Storage::poll_read) does, if it need not wait; else `None`.
    fn read_at_once(&mut self, job: &mut Self::Job, buf: &mut [u8])
    -> Option<Result<usize, Error>>;

    /// Does what [`poll_write`](Storage::poll_write) does, if it need not wait; else `None`.
    fn write_at_once(&mut self, job: &mut Self::Job, buf: &[u8]) -> Option<Result<usize, Error>>;
}

/// A storage, and the workers that wait for it.
pub struct Workers<S: Blocking> {
    storage: S,
    pool: Arc<Pool<S>>,
}

/// An operation under way. Dropped, it is cancelled.
pub struct Job<S: Blocking>(Box<Local<S>>);

/// What the loop has of a job.
struct Local<S: Blocking> {
    pool: Arc<Pool<S>>,
    kind: Kind,
    place: Place<S>,
    /// What `poll_open` tells.
    opened: Option<u64>,
    /// What was read ahead, or is to be written.
    chunk: Vec<u8>,
    /// Bytes of it that have been handed out.
    taken: usize,
    /// The last chunk that was read ahead was empty.
    is_at_end: bool,
    /// Of an upload: what is filled while the other is away.
    spare: Vec<u8>,
    batch: Batch,
}

/// What kind of operation it is, and so what of it is done before it comes back first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is opened.
    Read,
    /// It is opened.
    Write,
    /// It is opened, and so many entries are fetched.
    List(usize),
    /// It is asked.
    Ask,
    /// All of it.
    Change,
}

impl Kind {
    fn of(op: &Op<'_>) -> Self {
        match op {
            Op::Read { .. } => Self::Read,
            Op::Write { .. } => Self::Write,
            Op::List { .. } | Op::Stat { .. } => Self::List(batch::ENTRIES),
            // The next one is all that is wanted, as a rule.
            Op::Directories { .. } => Self::List(1),
            Op::Available { .. } => Self::Ask,
            _ => Self::Change,
        }
    }
}

impl<S: Blocking> Workers<S> {
    /// Workers for `storage`, who ring `bell` when something has come back.
    pub fn new(storage: S, bell: Bell) -> io::Result<Self> {
        let pool = Pool::open(storage.clone(), bell)?;
        Ok(Self { storage, pool })
    }
}

/// What was cancelled is seen to before the program ends, if the disk lets it.
impl<S: Blocking> Drop for Workers<S> {
    fn drop(&mut self) {
        self.pool.close(PATIENCE);
    }
}

impl<S: Blocking> Storage for Workers<S> {
    type Job = Job<S>;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Job<S>, Error> {
        if self.pool.waiting() >= QUEUE_MAX {
            return Err(Error::Busy);
        }
        let kind = Kind::of(&op);
        let task = Task::Start(Request::of(op, now), kind);
        let local = Local {
            pool: self.pool.clone(),
            kind,
            place: Place::Away(self.pool.send(task)),
            opened: None,
            chunk: Vec::new(),
            taken: 0,
            is_at_end: false,
            spare: Vec::new(),
            batch: Batch::default(),
        };
        Ok(Job(Box::new(local)))
    }

    fn poll_open(&mut self, job: &mut Job<S>) -> Poll<Result<Option<u64>, Error>> {
        let local = &mut *job.0;
        local.look();
        match &local.place {
            Place::Away(_) => Poll::Pending,
            Place::Here(_) | Place::Ended(Ok(_)) => Poll::Ready(Ok(local.opened)),
            Place::Ended(Err(error)) => Poll::Ready(Err(*error)),
        }
    }

    fn poll_read(&mut self, job: &mut Job<S>, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let local = &mut *job.0;
        local.look();
        if local.taken < local.chunk.len() {
            return Poll::Ready(Ok(local.hand_out(buf)));
        }
        match &mut local.place {
            Place::Away(_) => Poll::Pending,
            Place::Ended(result) => Poll::Ready(result.and(Err(Error::Io))),
            Place::Here(_) if local.is_at_end => Poll::Ready(Ok(0)),
            Place::Here(inner) => match self.storage.read_at_once(inner, buf) {
                Some(read) => Poll::Ready(read),
                None => {
                    local.send(Task::Read);
                    Poll::Pending
                }
            },
        }
    }

    fn poll_write(&mut self, job: &mut Job<S>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let local = &mut *job.0;
        local.look();
        if local.chunk.is_empty()
            && let Place::Here(inner) = &mut local.place
            && let Some(written) = self.storage.write_at_once(inner, buf)
        {
            return Poll::Ready(written);
        }
        match local.place {
            Place::Ended(Err(error)) => return Poll::Ready(Err(error)),
            _ if local.kind != Kind::Write => return Poll::Ready(Err(Error::Io)),
            _ => {}
        }
        local.write_full_chunk();
        let taken = local.take_in(buf);
        local.write_full_chunk();
        if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    fn poll_entry<'a>(&'a mut self, job: &'a mut Job<S>) -> Poll<Result<Option<Entry<'a>>, Error>> {
        let local = &mut *job.0;
        local.look();
        if local.batch.is_used_up() {
            match &local.place {
                Place::Away(_) => return Poll::Pending,
                Place::Ended(result) => return Poll::Ready(result.map(|_| None)),
                Place::Here(_) => {
                    local.send(|inner, _| Task::List(inner, Batch::with_room(batch::ENTRIES)));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(local.batch.next()))
    }

    fn poll_finish(&mut self, job: &mut Job<S>) -> Poll<Result<u64, Error>> {
        let local = &mut *job.0;
        local.look();
        match &local.place {
            Place::Away(_) => Poll::Pending,
            Place::Ended(result) => Poll::Ready(*result),
            Place::Here(_) if local.kind == Kind::Write => {
                local.send(|job, bytes| Task::Write { job, bytes, written: 0, finish: true });
                Poll::Pending
            }
            Place::Here(_) => {
                local.cancel();
                Poll::Ready(Ok(0))
            }
        }
    }

    fn cancel(&mut self, job: Job<S>) {
        drop(job);
    }
}

impl<S: Blocking> Local<S> {
    /// Takes in what has come back, if it has.
    fn look(&mut self) {
        if let Place::Away(errand) = &self.place
            && let Some(Back { place, cargo }) = errand.collect()
        {
            self.place = place;
            match cargo {
                Cargo::Nothing => {}
                Cargo::Opened(bytes) => self.opened = bytes,
                Cargo::Read(chunk) => {
                    self.is_at_end = chunk.is_empty();
                    (self.chunk, self.taken) = (chunk, 0);
                }
                Cargo::Written(spare) => self.spare = spare,
                Cargo::Entries(batch) => self.batch = batch,
            }
        }
    }

    /// Sends the job away with the chunk, if it is here.
    fn send(&mut self, task: impl FnOnce(S::Job, Vec<u8>) -> Task<S>) {
        self.place = match mem::replace(&mut self.place, Place::Ended(Err(Error::Io))) {
            Place::Here(job) => {
                let chunk = mem::replace(&mut self.chunk, mem::take(&mut self.spare));
                Place::Away(self.pool.send(task(job, chunk)))
            }
            place => place,
        };
    }

    fn cancel(&mut self) {
        match mem::replace(&mut self.place, Place::Ended(Ok(0))) {
            Place::Here(job) => self.pool.cancel(job),
            Place::Away(errand) => {
                if let Some(Back { place: Place::Here(job), .. }) = errand.call_off() {
                    self.pool.cancel(job);
                }
            }
            Place::Ended(_) => {}
        }
    }

    /// Copies what is left of the chunk that was read ahead.
    fn hand_out(&mut self, buf: &mut [u8]) -> usize {
        let left = &self.chunk[self.taken..];
        let count = left.len().min(buf.len());
        buf[..count].copy_from_slice(&left[..count]);
        self.taken += count;
        count
    }

    /// Copies into the chunk that is written next, as far as there is room.
    fn take_in(&mut self, buf: &[u8]) -> usize {
        let count = buf.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&buf[..count]);
        count
    }

    fn write_full_chunk(&mut self) {
        if self.chunk.len() == CHUNK {
            self.send(|job, bytes| Task::Write { job, bytes, written: 0, finish: false });
        }
    }
}

impl<S: Blocking> Drop for Local<S> {
    fn drop(&mut self) {
        self.cancel();
    }
}
