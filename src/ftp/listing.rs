//! A listing on its way: directory by directory, from the entries of storage to lines.
//!
//! `LIST -R` goes through the tree without a memory of it: where it is, is the path of the
//! session. When a directory is listed, storage is asked for the first directory in it; if there
//! is none, for the next one beside it, and so on upwards until the path is back where it began.

use core::mem;
use core::task::Poll;

use super::glob;
use super::list::{self, Format, Options};
use super::path::PathBuf;
use super::transfer::{Outcome, Progress, Scene, over, wait_or_broken};
use crate::storage::{Error, Kind, Op, Order, Path, Storage};
use crate::stream::Stream;
use crate::time::Timestamp;

/// What one poll does at most: to list an entry is 1.
const SHARE: u32 = 256;
/// What it is to come to another directory, or to look for one.
const DIRECTORY: u32 = 8;
/// Entries that `LIST -R` lists at most, and the directories that it opens count as well. So it
/// comes to an end in any tree, however it grows meanwhile.
const ENTRIES_OF_A_TREE: u16 = 10_000;

/// LIST, NLST or MLSD, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    format: Format,
    order: Order,
    /// Whether only the entries are listed that match the last name of the path; the job lists
    /// the directory in front of it.
    matching: bool,
    /// Whether the one entry is that of the account's root, which has no name.
    is_root: bool,
    /// With `-R`: how long the path is where it began.
    top: Option<usize>,
    /// With `-R`: entries and directories that may still come.
    left: u16,
    /// With `-R`: whether a directory was among the entries of this one.
    goes_deeper: bool,
    stage: Stage,
    /// Bytes of the lines so far.
    pub bytes: u64,
    /// Whether not everything was listed that is there.
    pub is_cut_off: bool,
}

/// What the job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It lists the directory that is the path.
    Entries,
    /// It looks for the next directory in the path.
    Seeking,
    /// It is to list the directory that was found, if that can be opened.
    Entering,
    /// Nothing more: the path and what is below it is done with.
    Leaving,
}

/// What a step of a listing leads to.
enum Step {
    Next,
    Leave(Progress),
    /// Everything is listed.
    End,
}

impl Listing {
    /// The listing of the directory or file at `path`.
    pub fn new<const N: usize>(format: Format, options: Options, path: &PathBuf<N>) -> Self {
        Self {
            format,
            order: options.order,
            matching: false,
            is_root: options.itself && path.seen().is_root(),
            top: options.recursive.then(|| path.as_path().as_bytes().len()),
            left: ENTRIES_OF_A_TREE,
            goes_deeper: false,
            stage: Stage::Entries,
            bytes: 0,
            is_cut_off: false,
        }
    }

    /// The listing of the entries that match the last name of the path. It goes no deeper: there
    /// the path, and with it the pattern, would be another.
    pub fn matching<const N: usize>(format: Format, order: Order, path: &PathBuf<N>) -> Self {
        let options = Options { order, ..Options::NONE };
        Self { matching: true, ..Self::new(format, options, path) }
    }

    /// Lists some more; `None` when everything is listed.
    pub fn poll<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        stream: &mut dyn Stream,
        scene: &mut Scene<'_, N>,
    ) -> Option<Progress> {
        let mut share = SHARE;
        let end = self.bytes.saturating_add(scene.allowance as u64);
        while share > 0 && self.bytes < end {
            let (work, step) = match self.stage {
                Stage::Entries => (1, self.list(storage, job, stream, scene)),
                Stage::Seeking => (DIRECTORY, self.seek(storage, job, scene)),
                Stage::Entering => (DIRECTORY, self.enter(storage, job, stream, scene)),
                Stage::Leaving => (DIRECTORY, self.leave(storage, job, scene)),
            };
            share = share.saturating_sub(work);
            match step {
                Step::Next => {}
                Step::Leave(progress) => return Some(progress),
                Step::End => return None,
            }
        }
        Some(Progress::More)
    }

    fn list<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        stream: &mut dyn Stream,
        scene: &Scene<'_, N>,
    ) -> Step {
        let path = scene.path.seen();
        let (directory, pattern) = match path.parent() {
            Some((directory, pattern)) if self.matching => (directory, Some(pattern)),
            _ => (path, None),
        };
        let prefix = match self.format {
            Format::Names => seen_from(scene.directory, directory),
            Format::Long | Format::Machine(..) => b"",
        };
        // An entry that was asked for must find room for its whole line.
        if !has_room(stream, prefix.len() + list::ENTRY_MAX) {
            return Step::Leave(wait_or_broken(stream));
        }
        match storage.poll_entry(job) {
            Poll::Pending => Step::Leave(Progress::Pending),
            Poll::Ready(Err(error)) => Step::Leave(over(Outcome::Storage(error))),
            Poll::Ready(Ok(None)) => self.go_down(storage, job, scene),
            Poll::Ready(Ok(Some(entry)))
                if pattern.is_some_and(|pattern| !glob::matches(pattern, entry.name)) =>
            {
                Step::Next
            }
            // There are clients that take a line with a type of the system's own for an error.
            Poll::Ready(Ok(Some(entry)))
                if matches!(self.format, Format::Machine(..))
                    && matches!(entry.kind, Kind::Link | Kind::Other) =>
            {
                Step::Next
            }
            Poll::Ready(Ok(Some(_))) if !self.may_have_more() => Step::End,
            Poll::Ready(Ok(Some(mut entry))) => {
                if self.is_root {
                    entry.name = b"";
                }
                self.goes_deeper |= self.top.is_some() && entry.kind == Kind::Directory;
                let line = self.format.line(prefix, &entry, scene.date);
                self.bytes += stream.write(line.as_deref().unwrap_or_default()) as u64;
                Step::Next
            }
        }
    }

    /// The directory is listed: what is below it is next.
    fn go_down<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        scene: &Scene<'_, N>,
    ) -> Step {
        if mem::take(&mut self.goes_deeper) {
            let op = Op::Directories { path: scene.path.as_path(), after: b"" };
            return self.start(op, Stage::Seeking, storage, job, scene.date);
        }
        self.stage = Stage::Leaving;
        Step::Next
    }

    fn seek<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        scene: &mut Scene<'_, N>,
    ) -> Step {
        match storage.poll_entry(job) {
            Poll::Pending => return Step::Leave(Progress::Pending),
            Poll::Ready(Err(error)) => return self.pass_over(error),
            Poll::Ready(Ok(None)) => {
                self.stage = Stage::Leaving;
                return Step::Next;
            }
            Poll::Ready(Ok(Some(entry))) => {
                if scene.path.descend(entry.name).is_err() {
                    self.is_cut_off = true;
                    return Step::Next;
                }
            }
        }
        let op = Op::List { path: scene.path.as_path(), order: self.order };
        self.start(op, Stage::Entering, storage, job, scene.date)
    }

    fn enter<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        stream: &mut dyn Stream,
        scene: &Scene<'_, N>,
    ) -> Step {
        let path = seen_from(scene.directory, scene.path.seen());
        if !has_room(stream, path.len() + list::HEADING_MAX) {
            return Step::Leave(wait_or_broken(stream));
        }
        match storage.poll_open(job) {
            Poll::Pending => return Step::Leave(Progress::Pending),
            Poll::Ready(Err(error)) => return self.pass_over(error),
            Poll::Ready(Ok(_)) if !self.may_have_more() => return Step::End,
            Poll::Ready(Ok(_)) => self.stage = Stage::Entries,
        }
        // The names of NLST are whole paths, and nothing else may be among them (RFC 1123
        // section 4.1.2.7).
        if self.format == Format::Long {
            let heading = list::heading(path);
            self.bytes += stream.write(heading.as_deref().unwrap_or_default()) as u64;
        }
        Step::Next
    }

    fn leave<S: Storage, const N: usize>(
        &mut self,
        storage: &mut S,
        job: &mut S::Job,
        scene: &mut Scene<'_, N>,
    ) -> Step {
        let path = scene.path.as_path();
        let is_below = self.top.is_some_and(|top| path.as_bytes().len() > top);
        let Some((directory, name)) = path.parent().filter(|_| is_below) else { return Step::End };
        let op = Op::Directories { path: directory, after: name };
        let step = self.start(op, Stage::Seeking, storage, job, scene.date);
        scene.path.ascend();
        step
    }

    /// Begins another job in the place of the one that is done.
    fn start<S: Storage>(
        &mut self,
        op: Op<'_>,
        stage: Stage,
        storage: &mut S,
        job: &mut S::Job,
        date: Timestamp,
    ) -> Step {
        match storage.start(op, date) {
            Ok(next) => {
                storage.cancel(mem::replace(job, next));
                self.stage = stage;
                Step::Next
            }
            Err(error) => self.pass_over(error),
        }
    }

    /// What of a tree is gone, or may not be looked at, leaves the rest to be listed.
    fn pass_over(&mut self, error: Error) -> Step {
        match error {
            Error::NotFound | Error::NotADirectory | Error::Denied => {
                self.stage = Stage::Leaving;
                Step::Next
            }
            error => Step::Leave(over(Outcome::Storage(error))),
        }
    }

    /// Counts an entry or a directory of a tree.
    fn may_have_more(&mut self) -> bool {
        if self.top.is_none() {
            return true;
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        self.is_cut_off |= left.is_none();
        left.is_some()
    }
}

fn has_room(stream: &mut dyn Stream, needed: usize) -> bool {
    stream.room() >= needed && !stream.writable().is_empty()
}

/// The directory that is listed, as seen from the working directory: in front of a name it
/// makes what RETR wants.
fn seen_from<'a>(working: Path<'_>, listed: Path<'a>) -> &'a [u8] {
    let (directory, path) = (working.as_bytes(), listed.as_bytes());
    if directory == path {
        return b"";
    }
    match path.strip_prefix(directory) {
        Some(rest) if working.is_root() => rest,
        Some([b'/', rest @ ..]) => rest,
        _ => path,
    }
}
