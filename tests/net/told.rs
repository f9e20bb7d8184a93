//! What the log says, in the thread of a test.

#[cfg(feature = "log")]
mod lines {
    use std::cell::RefCell;
    use std::sync::Once;

    use log::{Level, LevelFilter, Log, Metadata, Record};

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    struct Listener;

    impl Log for Listener {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= Level::Info && metadata.target().starts_with("tinyftp::net")
        }

        fn log(&self, record: &Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = format!("{} {}", record.level(), record.args());
                LINES.with_borrow_mut(|lines| lines.push(line));
            }
        }

        fn flush(&self) {}
    }

    pub fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| log::set_logger(&Listener).unwrap());
        log::set_max_level(LevelFilter::Info);
        LINES.take();
    }

    pub fn take() -> Vec<String> {
        LINES.take()
    }
}

/// Begins to listen.
pub fn listen() {
    #[cfg(feature = "log")]
    lines::listen();
}

/// These lines were told since the last time, and no others; without a log, nothing is.
pub fn assert_told(expected: &[&str]) {
    #[cfg(feature = "log")]
    assert_eq!(lines::take(), expected);
    #[cfg(not(feature = "log"))]
    let _ = expected;
}

/// How many lines were told since the last time.
pub fn told() -> usize {
    #[cfg(feature = "log")]
    return lines::take().len();
    #[cfg(not(feature = "log"))]
    0
}
