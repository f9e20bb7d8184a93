//! What is said on the serial port: log lines, and the last words of a panic.

use core::fmt::{self, Write};

use crate::uart;

/// The serial port as a log, and as a place to write to.
pub struct Serial;

/// Makes it what log lines go to.
pub fn start() {
    uart::start();
    // It fails if there is a logger already, and there is none.
    let _ = log::set_logger(&Serial);
    log::set_max_level(log::LevelFilter::Info);
}

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        uart::send(text.as_bytes());
        Ok(())
    }
}

impl log::Log for Serial {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        #[cfg(feature = "defmt")]
        defmt::println!("{}", defmt::Display2Format(record.args()));
        #[cfg(not(feature = "defmt"))]
        let _ = write!(Serial, "{}\r\n", record.args());
    }

    fn flush(&self) {}
}
