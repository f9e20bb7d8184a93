//! How the loop waits. Going to sleep and waking up cost more than a frame does, so while frames
//! come close together it looks for the next one a moment longer before it sleeps.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tinyftp::time::Instant;

use super::clock::Clock;

/// Waits, and remembers for how long it did.
pub struct Waiter {
    clock: Clock,
    /// How long it looks before it sleeps.
    busy_poll: Duration,
    /// Whether the last wait was so short that looking was, or would have been, worthwhile.
    is_lively: bool,
}

impl Waiter {
    pub fn new(clock: Clock, busy_poll: Duration) -> Self {
        Self { clock, busy_poll, is_lively: false }
    }

    /// Waits until one of these can be read, or it is `due`; says which of them can.
    pub fn wait<const N: usize>(
        &mut self,
        sources: [BorrowedFd<'_>; N],
        due: Option<Instant>,
    ) -> Result<[bool; N], Errno> {
        let mut sources = sources.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let start = self.clock.now();
        let sleeps_at = if self.is_lively { start + self.busy_poll } else { start };
        let mut now = start;
        loop {
            let until = if now < sleeps_at { Some(now) } else { due };
            let ready = poll_until(&mut sources, until, now)?;
            now = self.clock.now();
            if ready > 0 || due.is_some_and(|due| due <= now) {
                break;
            }
        }
        self.is_lively = now.since(start) < self.busy_poll;
        Ok(sources.map(|source| !source.revents().is_empty()))
    }
}

/// How many of the sources are ready, `until` then at the latest.
fn poll_until(
    sources: &mut [PollFd<'_>],
    until: Option<Instant>,
    now: Instant,
) -> Result<usize, Errno> {
    let timeout = until.map(|until| {
        let left = until.since(now);
        Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
    });
    match poll(sources, timeout.as_ref()) {
        Err(Errno::INTR) => Ok(0),
        ready => ready,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// A waiter, and the two ends of what it waits for.
    fn waiter(busy_poll: Duration) -> (Waiter, UnixStream, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Waiter::new(Clock::start(), busy_poll), near, far)
    }

    #[test]
    fn what_is_there_ends_the_wait() {
        let (mut waiter, near, mut far) = waiter(LONG);
        let (other, _kept) = UnixStream::pair().unwrap();
        far.write_all(b"!").unwrap();
        let sources = || [other.as_fd(), near.as_fd()];
        assert_eq!(waiter.wait(sources(), None), Ok([false, true]));
        // And again, now that it looks before it sleeps.
        assert!(waiter.is_lively);
        assert_eq!(waiter.wait(sources(), None), Ok([false, true]));
    }

    #[test]
    fn what_is_due_ends_the_wait() {
        let (mut waiter, near, _far) = waiter(LONG);
        waiter.is_lively = true;
        let start = waiter.clock.now();
        let due = start + Duration::from_millis(5);
        assert_eq!(waiter.wait([near.as_fd()], Some(due)), Ok([false]));
        assert!(waiter.clock.now() >= due);
        assert_eq!(waiter.wait([near.as_fd()], Some(start)), Ok([false]));
    }

    #[test]
    fn it_looks_only_as_long_as_that_pays() {
        let (mut waiter, near, mut far) = waiter(Duration::from_millis(1));
        waiter.is_lively = true;
        let due = waiter.clock.now() + Duration::from_millis(3);
        assert_eq!(waiter.wait([near.as_fd()], Some(due)), Ok([false]));
        assert!(!waiter.is_lively);
        far.write_all(b"!").unwrap();
        assert_eq!(waiter.wait([near.as_fd()], None), Ok([true]));
        assert!(waiter.is_lively);
    }

    #[test]
    fn without_busy_poll_it_never_looks() {
        let (mut waiter, near, mut far) = waiter(Duration::ZERO);
        far.write_all(b"!").unwrap();
        assert_eq!(waiter.wait([near.as_fd()], None), Ok([true]));
        assert!(!waiter.is_lively);
    }
}
