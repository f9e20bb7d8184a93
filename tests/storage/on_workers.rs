//! A storage behind workers: the contract, on each way that bytes can take, and what the loop may
//! rely on while the disk is stuck.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Advice, fadvise};
use tinyftp::storage::quota::{Quota, Quotas};
use tinyftp::storage::{Entry, Error, Keep, Op, Order, Path, Storage};
use tinyftp::time::Timestamp;

use crate::contract::*;
use crate::disk::{self, Disk};
use crate::workers::{Bell, Blocking, Job, Workers};

/// As it is used: what is in memory, the page cache or that of tmpfs, is read at once.
mod as_it_is {
    use crate::contract::promises;
    promises!(super::with_workers);
}

/// Nothing is to be had at once, as on a network file system.
mod nothing_at_once {
    use crate::contract::promises;
    promises!(super::with_slow_workers);
}

/// Everything is memory.
mod in_memory {
    use crate::contract::promises;
    promises!(super::with_workers_in_memory);
}

fn with_workers(test: impl FnOnce(&mut Workers<Disk>)) {
    let place = Place::below(&std::env::temp_dir());
    test(&mut workers(place.disk()));
    place.expect_no_uploads();
}

fn with_workers_in_memory(test: impl FnOnce(&mut Workers<Disk>)) {
    let place = Place::below(std::path::Path::new("/dev/shm"));
    test(&mut workers(place.disk()));
    place.expect_no_uploads();
}

fn with_slow_workers(test: impl FnOnce(&mut Workers<Gated>)) {
    let (place, gate) = (Place::new(), Arc::<Gate>::default());
    test(&mut workers(place.gated(&gate)));
    place.expect_no_uploads();
    assert_eq!(gate.state.lock().unwrap().live, 0, "jobs that have not ended");
}

fn workers<S: Blocking>(storage: S) -> Workers<S> {
    Workers::new(storage, Bell::new().unwrap()).unwrap()
}

/// A directory of this test alone.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    fn below(directory: &std::path::Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tinyftp-workers-{}-{count}", std::process::id());
        let place = Self(directory.join(name));
        fs::create_dir(&place.0).unwrap();
        place
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.0).unwrap()
    }

    fn gated(&self, gate: &Arc<Gate>) -> Gated {
        Gated { disk: self.disk(), gate: gate.clone() }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn expect_no_uploads(&self) {
        let names = self.names();
        assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where calls wait for as long as it is shut.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    waiting: usize,
    /// Jobs that were started and have not ended.
    live: usize,
    /// Writes that went through.
    writes: usize,
    /// Bytes from which on there is no space left.
    space: Option<u64>,
}

impl Gate {
    fn shut() -> Arc<Self> {
        let gate = Arc::<Self>::default();
        gate.set(true);
        gate
    }

    fn open(&self) {
        self.set(false);
    }

    fn set(&self, is_shut: bool) {
        self.state.lock().unwrap().is_shut = is_shut;
        self.change.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.change.notify_all();
        state = self.change.wait_while(state, |state| state.is_shut).unwrap();
        state.waiting -= 1;
    }

    /// Waits until so many calls are stuck.
    fn wait_for(&self, stuck: usize) {
        let state = self.state.lock().unwrap();
        let limit = Duration::from_secs(10);
        let waited = self.change.wait_timeout_while(state, limit, |state| state.waiting < stuck);
        assert!(!waited.unwrap().1.timed_out(), "they are not stuck");
    }
}

/// A disk whose calls all go through a gate, but for files whose paths begin with `/free`.
#[derive(Clone)]
struct Gated {
    disk: Disk,
    gate: Arc<Gate>,
}

struct GatedJob {
    job: disk::Job,
    is_free: bool,
    written: u64,
}

impl Gated {
    fn pass(&self, job: &GatedJob) {
        if !job.is_free {
            self.gate.pass();
        }
    }
}

impl Storage for Gated {
    type Job = GatedJob;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<GatedJob, Error> {
        let is_free = match op {
            Op::Read { path, .. } | Op::Write { path, .. } => path.as_bytes().starts_with(b"/free"),
            _ => false,
        };
        if !is_free {
            self.gate.pass();
        }
        let job = self.disk.start(op, now)?;
        self.gate.state.lock().unwrap().live += 1;
        Ok(GatedJob { job, is_free, written: 0 })
    }

    fn poll_open(&mut self, job: &mut GatedJob) -> Poll<Result<Option<u64>, Error>> {
        self.pass(job);
        self.disk.poll_open(&mut job.job)
    }

    fn poll_read(&mut self, job: &mut GatedJob, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        self.pass(job);
        self.disk.poll_read(&mut job.job, buf)
    }

    fn poll_write(&mut self, job: &mut GatedJob, buf: &[u8]) -> Poll<Result<usize, Error>> {
        self.pass(job);
        let mut state = self.gate.state.lock().unwrap();
        state.writes += 1;
        if state.space.is_some_and(|space| job.written >= space) {
            return Poll::Ready(Err(Error::Full));
        }
        drop(state);
        // Never as much as it could, and at the end nothing at all.
        let share = buf.len().div_ceil(3);
        let written = self.disk.poll_write(&mut job.job, &buf[..share]);
        if let Poll::Ready(Ok(count)) = written {
            job.written += count as u64;
        }
        written
    }

    fn poll_entry<'a>(
        &'a mut self,
        job: &'a mut GatedJob,
    ) -> Poll<Result<Option<Entry<'a>>, Error>> {
        self.pass(job);
        self.disk.poll_entry(&mut job.job)
    }

    fn poll_finish(&mut self, job: &mut GatedJob) -> Poll<Result<u64, Error>> {
        self.pass(job);
        let finished = self.disk.poll_finish(&mut job.job);
        self.gate.state.lock().unwrap().live -= usize::from(finished.is_ready());
        finished
    }

    fn cancel(&mut self, job: GatedJob) {
        self.pass(&job);
        self.gate.state.lock().unwrap().live -= 1;
        self.disk.cancel(job.job);
    }
}

impl Blocking for Gated {
    fn read_at_once(&mut self, _: &mut GatedJob, _: &mut [u8]) -> Option<Result<usize, Error>> {
        None
    }

    fn write_at_once(&mut self, _: &mut GatedJob, _: &[u8]) -> Option<Result<usize, Error>> {
        None
    }
}

/// Whatever waits for the disk in there would wait for ever: then the test fails.
fn without_waiting(test: impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel();
    let test = thread::spawn(move || {
        test();
        let _ = end.send(());
    });
    let ended = ended.recv_timeout(Duration::from_secs(30));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "it waits");
    test.join().unwrap();
}

/// Every operation, on paths that no other uses.
fn start_all<S: Storage>(s: &mut S, count: usize) -> Vec<S::Job> {
    let mut jobs = vec![];
    for i in 0..count {
        let name = format!("/{i}");
        let path = path(&name);
        jobs.extend([
            s.start(Op::Read { path, offset: 0 }, now()).unwrap(),
            s.start(Op::Write { path, keep: Keep::All, mode: 0o666 }, now()).unwrap(),
            s.start(Op::List { path: Path::ROOT, order: Order::NAME }, now()).unwrap(),
            s.start(Op::Stat { path }, now()).unwrap(),
            s.start(Op::Delete { path }, now()).unwrap(),
        ]);
    }
    jobs
}

fn expect_pending<S: Blocking>(s: &mut Workers<S>, jobs: &mut [Job<S>]) {
    for job in jobs {
        assert!(s.poll_open(job).is_pending());
        assert!(s.poll_read(job, &mut [0; 9]).is_pending());
        assert!(s.poll_entry(job).is_pending());
        assert!(s.poll_finish(job).is_pending());
    }
}

#[test]
fn while_some_are_stuck_others_go_on() {
    without_waiting(|| {
        let (place, gate) = (Place::new(), Gate::shut());
        let s = &mut workers(place.gated(&gate));
        let mut stuck = start_all(s, 2);
        gate.wait_for(10);
        let content = pattern(1_000_000);
        assert_eq!(write(s, "/free", &content), Ok(()));
        assert!(read(s, "/free").unwrap() == content);
        expect_pending(s, &mut stuck);
        gate.open();
        let opened = |job: &mut Job<Gated>| ready(|| s.poll_open(job)).map(drop);
        let ends: Vec<_> = stuck.iter_mut().map(opened).collect();
        let absent = Err(Error::NotFound);
        assert_eq!(ends, [absent, Ok(()), Ok(()), absent, absent].repeat(2));
    });
}

#[test]
fn however_many_are_stuck_nobody_waits() {
    without_waiting(|| {
        let (place, gate) = (Place::new(), Gate::shut());
        let s = &mut workers(place.gated(&gate));
        let mut stuck = start_all(s, 50);
        expect_pending(s, &mut stuck);
        gate.wait_for(16);
        stuck.drain(..100).for_each(|job| s.cancel(job));
        expect_pending(s, &mut stuck);
        gate.open();
        for mut job in stuck {
            let _ = ready(|| s.poll_open(&mut job));
        }
        assert_eq!(place.names(), [""; 0]);
    });
}

#[test]
fn a_job_that_is_cancelled_while_it_is_away_leaves_nothing() {
    without_waiting(|| {
        let (place, gate) = (Place::new(), Arc::<Gate>::default());
        let mut storage = workers(place.gated(&gate));
        let s = &mut storage;
        write(s, "/a", b"old").unwrap();
        for (ends_after, keep) in
            [(0, Keep::All), (1, Keep::All), (1, Keep::Nothing), (2, Keep::All)]
        {
            let mut job = begin_write(s, "/a", keep).unwrap();
            gate.set(true);
            if ends_after > 0 {
                push(s, &mut job, &pattern(300_000)).unwrap();
                gate.wait_for(1);
            }
            if ends_after > 1 {
                assert!(s.poll_finish(&mut job).is_pending());
            }
            s.cancel(job);
            gate.open();
            assert_eq!(names(s, "/"), ["a"], "{ends_after}");
            assert_eq!(read(s, "/a"), Ok(b"old".to_vec()), "{ends_after}");
        }
        drop(storage);
        assert_eq!(gate.state.lock().unwrap().live, 0, "jobs that have not ended");
    });
}

#[test]
fn what_is_cancelled_after_it_came_back_leaves_nothing() {
    let place = Place::new();
    let s = &mut workers(place.disk());
    let mut job = s.start(Op::Write { path: path("/a"), keep: Keep::All, mode: 0o666 }, now());
    push(s, job.as_mut().unwrap(), &pattern(300_000)).unwrap();
    thread::sleep(Duration::from_millis(50));
    drop(job);
    assert_eq!(names(s, "/"), [""; 0]);
}

#[test]
fn an_upload_has_two_chunks_at_most() {
    without_waiting(|| {
        let (place, gate) = (Place::new(), Arc::<Gate>::default());
        let s = &mut workers(place.gated(&gate));
        let content = pattern(3_000_000);
        let mut job = begin_write(s, "/a", Keep::Nothing).unwrap();
        gate.set(true);
        let mut taken = 0;
        while let Poll::Ready(count) = s.poll_write(&mut job, &content[taken..]) {
            taken += count.unwrap();
        }
        assert_eq!(taken, 2 * 256 * 1024);
        assert!(s.poll_finish(&mut job).is_pending());
        gate.open();
        assert_eq!(complete(s, job, &content[taken..]), Ok(()));
        assert!(fs::read(place.0.join("a")).unwrap() == content);
    });
}

#[test]
fn what_is_written_stays_in_order() {
    let place = Place::new();
    let s = &mut workers(place.gated(&Arc::default()));
    let content = pattern(5_000_000);
    let mut job = begin_write(s, "/a", Keep::Nothing).unwrap();
    let mut left = &content[..];
    for size in [1, 70_001, 262_143, 262_145, 999_999].into_iter().cycle() {
        let piece = &left[..left.len().min(size)];
        if piece.is_empty() {
            break;
        }
        left = &left[ready(|| s.poll_write(&mut job, piece)).unwrap()..];
    }
    assert_eq!(finish(s, job), Ok(()));
    assert!(fs::read(place.0.join("a")).unwrap() == content);
    assert!(read(s, "/a").unwrap() == content);
}

/// It may come to light only when the rest is written, at the end.
#[test]
fn that_there_is_no_space_is_told() {
    for (space, size) in [(300_000, 2_000_000), (300_000, 500_000), (0, 10)] {
        let (place, gate) = (Place::new(), Arc::<Gate>::default());
        let s = &mut workers(place.gated(&gate));
        write(s, "/a", b"old").unwrap();
        gate.state.lock().unwrap().space = Some(space);
        assert_eq!(write(s, "/a", &pattern(size)), Err(Error::Full), "{size}");
        assert_eq!(write(s, "/b", &pattern(size)), Err(Error::Full), "{size}");
        assert_eq!(read(s, "/a"), Ok(b"old".to_vec()));
        assert_eq!(names(s, "/"), ["a"]);
        assert_eq!(place.names(), ["a"]);
    }
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (place, gate) = (Place::new(), Arc::<Gate>::default());
    let mut s = workers(place.gated(&gate));
    let mut job = begin_write(&mut s, "/a", Keep::Nothing).unwrap();
    gate.set(true);
    push(&mut s, &mut job, &pattern(300_000)).unwrap();
    gate.wait_for(1);
    let begun = Instant::now();
    drop(job);
    drop(s);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for the disk");
    gate.open();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn the_end_waits_for_what_is_cancelled() {
    let (place, gate) = (Place::new(), Arc::<Gate>::default());
    let mut s = workers(place.gated(&gate));
    let jobs: Vec<_> =
        (0..200).map(|i| begin_write(&mut s, &format!("/{i}"), Keep::Nothing).unwrap()).collect();
    gate.set(true);
    drop(jobs);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            gate.open();
        });
        drop(s);
        assert_eq!(gate.state.lock().unwrap().live, 0, "jobs that have not ended");
    });
}

#[test]
fn the_queue_has_an_end() {
    without_waiting(|| {
        let (place, gate) = (Place::new(), Gate::shut());
        let s = &mut workers(place.gated(&gate));
        let mut start = || s.start(Op::Stat { path: Path::ROOT }, now());
        let jobs: Vec<_> = std::iter::from_fn(|| start().ok()).take(100_000).collect();
        assert!((30_000..40_000).contains(&jobs.len()), "{}", jobs.len());
        assert_eq!(start().err(), Some(Error::Busy));
        drop(jobs);
        gate.open();
        let mut start = || s.start(Op::Stat { path: Path::ROOT }, now());
        let job = ready(|| start().map_or(Poll::Pending, Poll::Ready));
        assert_eq!(finish(s, job), Ok(()));
    });
}

#[test]
fn the_bell_rings_when_something_is_back() {
    let (place, gate, bell) = (Place::new(), Gate::shut(), Bell::new().unwrap());
    let s = &mut Workers::new(place.gated(&gate), bell.clone()).unwrap();
    let rings = |milliseconds: i64| {
        let limit =
            Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], Some(&limit)).unwrap() > 0
    };
    let mut job = s.start(Op::Stat { path: Path::ROOT }, now()).unwrap();
    assert!(!rings(50));
    gate.open();
    assert!(rings(10_000));
    assert!(s.poll_open(&mut job).is_ready());
    assert!(bell.hear() && !bell.hear() && !rings(0));
}

/// What is not in memory is read ahead, and what is, straight away.
#[test]
fn a_file_is_read_that_is_in_memory_in_part() {
    let place = Place::new();
    let content = pattern(5_000_000);
    let file = place.0.join("a");
    fs::write(&file, &content).unwrap();
    let open = fs::File::open(&file).unwrap();
    open.sync_all().unwrap();
    for (at, length) in [(0, 5_000_000), (1 << 20, 1 << 20), (0, 4096), (4_900_000, 100_000)] {
        fadvise(&open, at, std::num::NonZeroU64::new(length), Advice::DontNeed).unwrap();
        let s = &mut workers(place.disk());
        assert!(read(s, "/a").unwrap() == content, "without {length} at {at}");
    }
}

#[test]
fn each_session_has_room_for_a_job() {
    assert!(size_of::<Job<Disk>>() <= 16);
}

/// Waits until no job is left with the workers.
fn settle(gate: &Gate) {
    let state = gate.state.lock().unwrap();
    let limit = Duration::from_secs(10);
    drop(gate.change.wait_timeout_while(state, limit, |state| state.waiting > 0).unwrap());
    let end = Instant::now() + limit;
    while gate.state.lock().unwrap().live > 0 {
        assert!(Instant::now() < end, "jobs that have not ended");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Quotas in front of workers, as in the program; what they count after something was cancelled
/// that a worker was at.
fn counted_after(cancelled: impl FnOnce(&mut Quotas<'_, Workers<Gated>>, &Gate)) -> (u64, u64) {
    let (place, gate) = (Place::new(), Arc::<Gate>::default());
    let mut quotas = [Quota::new(Path::ROOT, 1000, 0)];
    let s = &mut Quotas::new(workers(place.gated(&gate)), &mut quotas);
    write(s, "/old", &[1; 100]).unwrap();
    cancelled(s, &gate);
    settle(&gate);
    let entries = fs::read_dir(&place.0).unwrap();
    let stored = entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    (s.quotas()[0].used(), stored)
}

/// STOR, and then the session is gone. More may be counted than is stored, never less.
#[test]
fn what_a_worker_commits_counts_though_it_is_cancelled() {
    let (counted, stored) = counted_after(|s, gate| {
        let mut job = begin_write(s, "/new", Keep::Nothing).unwrap();
        push(s, &mut job, &[2; 600]).unwrap();
        gate.set(true);
        assert!(s.poll_finish(&mut job).is_pending());
        gate.wait_for(1);
        s.cancel(job);
        gate.open();
    });
    assert_eq!(stored, 700);
    assert!(counted >= stored, "{counted}");
}

/// Uploads of one name that end at once: what they replace is given back once.
#[test]
fn what_several_uploads_replace_is_given_back_once() {
    let place = Place::below(std::path::Path::new("/dev/shm"));
    let mut quotas = [Quota::new(Path::ROOT, u64::MAX, 0)];
    let s = &mut Quotas::new(workers(place.disk()), &mut quotas);
    write(s, "/other", &[1; 10_000_000]).unwrap();
    let mut wrong = vec![];
    for _ in 0..300 {
        let stored = 10_000_000 + fs::metadata(place.0.join("a")).map_or(0, |file| file.len());
        let off = s.quotas()[0].used() as i64 - stored as i64;
        write(s, "/a", &[1; 100_000]).unwrap();
        let begin = |_| begin_write(s, "/a", Keep::Nothing).unwrap();
        let mut jobs: Vec<_> = (0..8).map(begin).collect();
        jobs.iter_mut().for_each(|job| push(s, job, b"x").unwrap());
        while !jobs.is_empty() {
            jobs.retain_mut(|job| s.poll_finish(job).is_pending());
        }
        let more = s.quotas()[0].used() as i64 - 10_000_001 - off;
        if more != 0 {
            wrong.push(more);
        }
    }
    assert_eq!(wrong, [0; 0], "of 300 rounds");
}
