//! A [`RamDisk`] under observation: every job must end exactly once, and any poll may be made
//! to fail or to wait.

use std::task::Poll;

use tinyftp::storage::ram::{self, RamDisk};
use tinyftp::storage::{Entry, Error, Kind, Op, Order, Path, Storage};
use tinyftp::time::Timestamp;

use crate::random::Random;

/// What goes wrong, in percent of the calls.
#[derive(Default)]
pub struct Faults {
    pub random: Random,
    /// `start` and the polls fail.
    pub errors: u64,
    /// The polls say Pending.
    pub waits: u64,
    /// Reads and writes do less than they could.
    pub short: u64,
}

impl Faults {
    fn error(&mut self) -> Option<Error> {
        const ERRORS: [Error; 5] =
            [Error::Io, Error::Full, Error::NotFound, Error::Busy, Error::Denied];
        self.random.percent(self.errors).then(|| *self.random.pick(&ERRORS))
    }
}

/// The storage of the tests.
pub struct Watched<'d> {
    pub disk: RamDisk<'d>,
    pub faults: Faults,
    /// How the next call fails.
    pub failure: Option<Error>,
    /// Everything waits.
    pub held: bool,
    /// What `start` refuses, the polls refuse instead.
    pub late: bool,
    /// The size of the file `/zeros`, which takes no memory; if 0, there is none.
    pub zeros: u64,
    /// Jobs that were started and have not ended.
    pub live: usize,
    /// Polls that were ready: so the network sees that there is progress.
    pub ready: u64,
    /// Bytes that were read.
    pub read: u64,
    /// Uploads that were committed.
    pub committed: usize,
}

/// A job of the disk, or the place in `/zeros` of one that reads that; `None` when it has ended.
pub struct Job(Option<Inner>);

enum Inner {
    Disk(ram::Job),
    Upload(ram::Job),
    Zeros(u64),
    Refused(Error),
}

impl Job {
    /// The job of the disk, for what is not done to `/zeros`.
    fn on_disk(&mut self) -> &mut ram::Job {
        match self.0.as_mut().expect("a job that has not ended") {
            Inner::Disk(job) | Inner::Upload(job) => job,
            Inner::Zeros(_) => panic!("only RETR and HASH are for /zeros"),
            Inner::Refused(_) => panic!("there is no such job"),
        }
    }
}

impl<'d> Watched<'d> {
    pub fn new(disk: RamDisk<'d>) -> Self {
        Self {
            disk,
            faults: Faults::default(),
            failure: None,
            held: false,
            late: false,
            zeros: 0,
            live: 0,
            ready: 0,
            read: 0,
            committed: 0,
        }
    }

    /// What happens to a poll instead of what was to happen.
    fn fault<T>(&mut self, job: &Job) -> Option<Poll<Result<T, Error>>> {
        if self.held || self.faults.random.percent(self.faults.waits) {
            return Some(Poll::Pending);
        }
        self.ready += 1;
        if let Some(Inner::Refused(error)) = job.0 {
            return Some(Poll::Ready(Err(error)));
        }
        self.error().map(|error| Poll::Ready(Err(error)))
    }

    fn error(&mut self) -> Option<Error> {
        self.failure.take().or_else(|| self.faults.error())
    }

    fn begin(&mut self, op: Op<'_>, now: Timestamp) -> Result<Inner, Error> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        match op {
            Op::Read { path, offset } if self.zeros > 0 && path.as_bytes() == b"/zeros" => {
                Ok(Inner::Zeros(offset))
            }
            Op::Write { .. } => self.disk.start(op, now).map(Inner::Upload),
            op => self.disk.start(op, now).map(Inner::Disk),
        }
    }

    fn length(&mut self, n: usize) -> usize {
        let short = self.faults.random.percent(self.faults.short);
        if short { 1 + self.faults.random.below(n as u64) as usize } else { n }
    }

    // The disk as the tests look at it.

    /// The content of a file; `None` if there is no such file.
    pub fn content(&mut self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let op = Op::Read { path: Path::new(path.as_ref())?, offset: 0 };
        let mut job = self.disk.start(op, Timestamp(0)).ok()?;
        let (mut content, mut buf) = (Vec::new(), [0; 4096]);
        while let Poll::Ready(Ok(n @ 1..)) = self.disk.poll_read(&mut job, &mut buf) {
            content.extend_from_slice(&buf[..n]);
        }
        self.disk.cancel(job);
        Some(content)
    }

    /// Makes a file, or a directory where the path ends with a slash.
    pub fn make(&mut self, path: &str, content: &[u8], now: Timestamp) {
        let Some(directory) = path.strip_suffix('/') else {
            let path = Path::new(path.as_bytes()).expect("a normal path");
            return self.disk.insert(path, content, now).expect("room on the disk");
        };
        let path = Path::new(directory.as_bytes()).expect("a normal path");
        let mut job = self
            .disk
            .start(Op::MakeDirectory { path, mode: 0o777 }, now)
            .expect("room on the disk");
        assert!(matches!(self.disk.poll_finish(&mut job), Poll::Ready(Ok(_))));
    }

    /// Everything on the disk; what is in a directory comes before the directory.
    pub fn tree(&mut self) -> Vec<(Kind, Vec<u8>)> {
        let mut found = Vec::new();
        self.walk(b"", &mut found);
        found
    }

    fn walk(&mut self, directory: &[u8], found: &mut Vec<(Kind, Vec<u8>)>) {
        let path = if directory.is_empty() { b"/" } else { directory };
        let op = Op::List { path: Path::new(path).expect("a normal path"), order: Order::ANY };
        let mut job = self.disk.start(op, Timestamp(0)).expect("a directory");
        let mut entries = Vec::new();
        while let Poll::Ready(Ok(Some(entry))) = self.disk.poll_entry(&mut job) {
            entries.push((entry.kind, [directory, b"/", entry.name].concat()));
        }
        self.disk.cancel(job);
        for (kind, path) in entries {
            if kind == Kind::Directory {
                self.walk(&path, found);
            }
            found.push((kind, path));
        }
    }

    /// Deletes everything, so that what is still in use was leaked.
    pub fn wipe(&mut self) {
        for (kind, path) in self.tree() {
            let path = Path::new(&path).expect("a normal path");
            let op = match kind {
                Kind::Directory => Op::RemoveDirectory { path },
                _ => Op::Delete { path },
            };
            let mut job = self.disk.start(op, Timestamp(0)).expect("a thing that was listed");
            assert!(matches!(self.disk.poll_finish(&mut job), Poll::Ready(Ok(_))));
        }
    }
}

impl Storage for Watched<'_> {
    type Job = Job;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Job, Error> {
        let job = match self.begin(op, now) {
            Err(error) if self.late => Inner::Refused(error),
            begun => begun?,
        };
        self.live += 1;
        Ok(Job(Some(job)))
    }

    fn poll_open(&mut self, job: &mut Job) -> Poll<Result<Option<u64>, Error>> {
        match (self.fault(job), &mut job.0) {
            (Some(fault), _) => fault,
            (None, Some(Inner::Zeros(_))) => Poll::Ready(Ok(Some(self.zeros))),
            (None, _) => self.disk.poll_open(job.on_disk()),
        }
    }

    fn poll_read(&mut self, job: &mut Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        assert!(!buf.is_empty(), "a read into nothing");
        let n = self.length(buf.len());
        let read = match (self.fault(job), &mut job.0) {
            (Some(fault), _) => fault,
            (None, Some(Inner::Zeros(at))) => {
                let n = self.zeros.saturating_sub(*at).min(n as u64);
                buf[..n as usize].fill(0);
                *at += n;
                Poll::Ready(Ok(n as usize))
            }
            (None, _) => self.disk.poll_read(job.on_disk(), &mut buf[..n]),
        };
        if let Poll::Ready(Ok(n)) = read {
            self.read += n as u64;
        }
        read
    }

    fn poll_write(&mut self, job: &mut Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        assert!(!buf.is_empty(), "a write of nothing");
        let n = self.length(buf.len());
        match self.fault(job) {
            Some(fault) => fault,
            // Progress of another kind.
            None if n < buf.len() && self.faults.random.percent(30) => Poll::Ready(Ok(0)),
            None => self.disk.poll_write(job.on_disk(), &buf[..n]),
        }
    }

    fn poll_entry<'a>(&'a mut self, job: &'a mut Job) -> Poll<Result<Option<Entry<'a>>, Error>> {
        match self.fault(job) {
            Some(fault) => fault,
            None => self.disk.poll_entry(job.on_disk()),
        }
    }

    fn poll_finish(&mut self, job: &mut Job) -> Poll<Result<u64, Error>> {
        let fault = self.fault(job);
        let mut inner = job.0.take().expect("a job that has not ended");
        let result = fault.unwrap_or_else(|| match &mut inner {
            Inner::Disk(inner) | Inner::Upload(inner) => self.disk.poll_finish(inner),
            Inner::Zeros(_) | Inner::Refused(_) => Poll::Ready(Ok(0)),
        });
        match (result, fault) {
            (Poll::Pending, _) => job.0 = Some(inner),
            (Poll::Ready(result), None) => {
                self.live -= 1;
                let is_upload = matches!(inner, Inner::Upload(_));
                self.committed += usize::from(is_upload && result.is_ok());
            }
            (Poll::Ready(_), Some(_)) => self.cancel(Job(Some(inner))),
        }
        result
    }

    fn cancel(&mut self, job: Job) {
        self.live -= 1;
        match job.0.expect("a job that has not ended") {
            Inner::Disk(job) | Inner::Upload(job) => self.disk.cancel(job),
            Inner::Zeros(_) | Inner::Refused(_) => {}
        }
    }
}
