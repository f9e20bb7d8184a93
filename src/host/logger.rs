//! Where log lines go: standard error, with the time, as long as somebody reads there.

use std::io;

use log::{LevelFilter, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use simple_logger::SimpleLogger;

/// Logs from now on.
pub fn start(level: LevelFilter) {
    let logger = Patient(SimpleLogger::new().with_level(level).with_utc_timestamps());
    // Fails only if there is a logger already.
    let _ = log::set_boxed_logger(Box::new(logger));
    log::set_max_level(level);
}

/// Drops lines that nobody takes. Writing them would stop the loop if the reader of a pipe has
/// stopped, and end the program if it has gone.
struct Patient(SimpleLogger);

impl Log for Patient {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && is_writable() {
            self.0.log(record);
        }
    }

    fn flush(&self) {}
}

/// Whether standard error takes a line now.
pub fn is_writable() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents() == PollFlags::OUT
}
