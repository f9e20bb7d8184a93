//! Limits to what directories may hold, in front of any storage.

use core::task::Poll;

use super::{Entry, Error, Op, Path, Storage};
use crate::time::Timestamp;

/// What a directory may hold, with all that is below it.
#[derive(Clone, Copy, Debug)]
pub struct Quota<'a> {
    /// The directory.
    path: Path<'a>,
    /// Bytes that its files may have in all.
    max: u64,
    /// Bytes that they have, with those of uploads under way.
    used: u64,
    /// The smallest other quota that has the directory in it too, by its number.
    around: Option<usize>,
}

impl<'a> Quota<'a> {
    /// At most `max` bytes below `path`, where there are `used` now.
    pub const fn new(path: Path<'a>, max: u64, used: u64) -> Self {
        Self { path, max, used, around: None }
    }

    /// Bytes that its files have, with those of uploads under way.
    pub const fn used(&self) -> u64 {
        self.used
    }

    fn left(&self) -> u64 {
        self.max.saturating_sub(self.used)
    }
}

/// A storage whose directories have quotas. An upload counts from its first byte on, beside the
/// file that it replaces; what it did not keep of that is given back at the commit.
///
/// What changes the storage from outside is not counted, and neither are directories.
#[derive(Debug)]
pub struct Quotas<'a, S> {
    storage: S,
    quotas: &'a mut [Quota<'a>],
}

/// An operation of a storage with quotas.
#[derive(Debug)]
pub struct Job<J> {
    job: J,
    /// The smallest quota that the path is in, by its number.
    quota: Option<usize>,
    /// Bytes that an upload has taken of it.
    taken: u64,
    /// Bytes that it keeps of the old file, which are counted with that until the commit.
    kept: u64,
    kind: Kind,
    /// Whether it may be done already, although nobody was told.
    is_finishing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    Available,
    Other,
}

impl<'a, S: Storage> Quotas<'a, S> {
    /// Puts `quotas` in front of `storage`.
    pub fn new(storage: S, quotas: &'a mut [Quota<'a>]) -> Self {
        let all = Self { storage, quotas };
        for at in 0..all.quotas.len() {
            let around = all.around(at);
            if let Some(quota) = all.quotas.get_mut(at) {
                quota.around = around;
            }
        }
        all
    }

    /// The storage behind.
    pub fn storage(&mut self) -> &mut S {
        &mut self.storage
    }

    /// The quotas, as they stand.
    pub fn quotas(&self) -> &[Quota<'a>] {
        self.quotas
    }

    /// The quota of the longest path that has `path` in it; of several with that path the last.
    fn smallest(&self, path: Path<'_>) -> Option<usize> {
        let all = self.quotas.iter().enumerate();
        let (at, _) = all
            .filter(|(_, quota)| path.is_within(quota.path))
            .max_by_key(|(_, quota)| quota.path.as_bytes().len())?;
        Some(at)
    }

    /// Whether something below `path` has a quota of its own.
    fn is_around_one(&self, path: Path<'_>) -> bool {
        self.quotas.iter().any(|quota| quota.path != path && quota.path.is_within(path))
    }

    /// The quota that the one with this number lies in: of those with its path the one before.
    fn around(&self, at: usize) -> Option<usize> {
        let path = self.quotas.get(at)?.path;
        let before = self.quotas.get(..at)?.iter().rposition(|quota| quota.path == path);
        before.or_else(|| {
            let (parent, _) = path.parent()?;
            self.smallest(parent)
        })
    }

    /// A quota and those around it.
    fn chain(&self, first: Option<usize>) -> impl Iterator<Item = &Quota<'a>> {
        core::iter::successors(first.and_then(|at| self.quotas.get(at)), |quota| {
            self.quotas.get(quota.around?)
        })
    }

    fn left(&self, quota: Option<usize>) -> u64 {
        self.chain(quota).map(Quota::left).min().unwrap_or(u64::MAX)
    }

    fn for_each(&mut self, first: Option<usize>, mut change: impl FnMut(&mut Quota<'a>)) {
        let mut next = first;
        while let Some(quota) = next.and_then(|at| self.quotas.get_mut(at)) {
            change(quota);
            next = quota.around;
        }
    }

    fn take(&mut self, quota: Option<usize>, bytes: u64) {
        self.for_each(quota, |quota| quota.used = quota.used.saturating_add(bytes));
    }

    fn give_back(&mut self, quota: Option<usize>, bytes: u64) {
        self.for_each(quota, |quota| quota.used = quota.used.saturating_sub(bytes));
    }
}

impl<S: Storage> Storage for Quotas<'_, S> {
    type Job = Job<S::Job>;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Self::Job, Error> {
        let quota = op.changed().and_then(|path| self.smallest(path));
        let kind = match op {
            Op::Write { .. } => Kind::Write,
            Op::Available { .. } => Kind::Available,
            // How much would move from one quota to the other is not known.
            Op::Rename { from, to, .. }
                if self.smallest(from) != quota
                    || self.is_around_one(from)
                    || self.is_around_one(to) =>
            {
                return Err(Error::Denied);
            }
            _ => Kind::Other,
        };
        let job = self.storage.start(op, now)?;
        Ok(Job { job, quota, taken: 0, kept: 0, kind, is_finishing: false })
    }

    fn poll_open(&mut self, job: &mut Self::Job) -> Poll<Result<Option<u64>, Error>> {
        let opened = self.storage.poll_open(&mut job.job);
        let Poll::Ready(Ok(bytes)) = opened else { return opened };
        match job.kind {
            Kind::Write => job.kept = bytes.unwrap_or(0),
            Kind::Available if job.quota.is_some() => {
                let left = self.left(job.quota);
                return Poll::Ready(Ok(Some(bytes.unwrap_or(left).min(left))));
            }
            Kind::Available | Kind::Other => {}
        }
        opened
    }

    fn poll_read(&mut self, job: &mut Self::Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        self.storage.poll_read(&mut job.job, buf)
    }

    fn poll_write(&mut self, job: &mut Self::Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let left = usize::try_from(self.left(job.quota)).unwrap_or(usize::MAX);
        let buf = buf.get(..left).unwrap_or(buf);
        if buf.is_empty() {
            return Poll::Ready(Err(Error::OverQuota));
        }
        let written = self.storage.poll_write(&mut job.job, buf);
        if let Poll::Ready(Ok(count)) = written {
            self.take(job.quota, count as u64);
            job.taken += count as u64;
        }
        written
    }

    fn poll_entry<'a>(
        &'a mut self,
        job: &'a mut Self::Job,
    ) -> Poll<Result<Option<Entry<'a>>, Error>> {
        self.storage.poll_entry(&mut job.job)
    }

    fn poll_finish(&mut self, job: &mut Self::Job) -> Poll<Result<u64, Error>> {
        let finished = self.storage.poll_finish(&mut job.job);
        match finished {
            Poll::Ready(Ok(gone)) => {
                self.take(job.quota, job.kept);
                self.give_back(job.quota, gone);
            }
            Poll::Ready(Err(_)) => self.give_back(job.quota, job.taken),
            Poll::Pending => job.is_finishing = true,
        }
        finished
    }

    fn cancel(&mut self, job: Self::Job) {
        // What may be stored counts, lest somebody could store more by going away at the right time.
        if !job.is_finishing {
            self.give_back(job.quota, job.taken);
        }
        self.storage.cancel(job.job);
    }
}

impl<'a> Op<'a> {
    /// The path below which the operation may change how much is stored.
    fn changed(self) -> Option<Path<'a>> {
        match self {
            Op::Write { path, .. } | Op::Delete { path } | Op::Available { path } => Some(path),
            Op::Rename { to, .. } => Some(to),
            _ => None,
        }
    }
}
