//! Where log lines go: standard error, with the time.

use log::LevelFilter;
use simple_logger::SimpleLogger;

/// Logs from now on.
pub fn start(level: LevelFilter) {
    // Fails only if there is a logger already.
    let _ = SimpleLogger::new().with_level(level).with_utc_timestamps().init();
}
