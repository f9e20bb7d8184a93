//! SIGINT, SIGTERM, SIGHUP and SIGUSR1, as bytes in pipes that the loop waits on.

use std::fs;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe::register;

/// The signals that end the program, and the one that asks what is connected.
pub struct Signals {
    stops: UnixStream,
    hangups: UnixStream,
    hung_up: bool,
    questions: UnixStream,
    /// Kept, so that the pipe does not end where SIGHUP is ignored.
    _hangup: UnixStream,
}

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> io::Result<Self> {
        let (stops, stop) = UnixStream::pair()?;
        let (hangups, hangup) = UnixStream::pair()?;
        let (questions, question) = UnixStream::pair()?;
        for pipe in [&stops, &hangups, &questions] {
            pipe.set_nonblocking(true)?;
        }
        register(SIGINT, stop.try_clone()?)?;
        register(SIGTERM, stop)?;
        register(SIGUSR1, question)?;
        if !is_ignored(SIGHUP) {
            register(SIGHUP, hangup.try_clone()?)?;
        }
        Ok(Self { stops, hangups, hung_up: false, questions, _hangup: hangup })
    }

    /// How many of those that end the program have come since the last call. A terminal that closes may say so more than
    /// once, through the kernel, the shell and sudo: that counts as one, or as none behind
    /// another signal.
    pub fn count(&mut self) -> usize {
        let mut bytes = [0; 16];
        let hung_up = self.hangups.read(&mut bytes).is_ok_and(|count| count > 0);
        let first = hung_up && !mem::replace(&mut self.hung_up, true);
        let stops = self.stops.read(&mut bytes).unwrap_or(0);
        self.hung_up |= stops > 0;
        stops + usize::from(first)
    }

    /// Whether SIGUSR1 has come since the last call.
    pub fn asked(&mut self) -> bool {
        let mut bytes = [0; 16];
        self.questions.read(&mut bytes).is_ok_and(|count| count > 0)
    }

    /// What to wait on for the next one.
    pub fn pipes(&self) -> [BorrowedFd<'_>; 3] {
        [self.stops.as_fd(), self.hangups.as_fd(), self.questions.as_fd()]
    }
}

/// Whether this program was started with a signal ignored, as `nohup` does.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
