//! Log lines: through the `log` crate and through defmt, with the features of those names; with
//! neither, nowhere.

use core::fmt;

macro_rules! log_with {
    ($level:ident, $name:ident, $($arg:tt)+) => {{
        #[cfg(feature = "log")]
        if ::log::Level::$name <= ::log::STATIC_MAX_LEVEL
            && ::log::Level::$name <= ::log::max_level()
        {
            let module = ::core::module_path!();
            $crate::log::pass_on(::log::Level::$name, module, ::core::format_args!($($arg)+));
        }
        // As text: defmt itself can show neither variables in braces nor the types of others.
        #[cfg(all(feature = "defmt", target_os = "none"))]
        ::defmt::$level!("{}", ::defmt::Display2Format(&core::format_args!($($arg)+)));
        #[cfg(not(any(feature = "log", all(feature = "defmt", target_os = "none"))))]
        let _ = core::format_args!($($arg)+);
    }};
}
macro_rules! info { ($($arg:tt)+) => { log_with!(info, Info, $($arg)+) }; }
macro_rules! debug { ($($arg:tt)+) => { log_with!(debug, Debug, $($arg)+) }; }
macro_rules! warn { ($($arg:tt)+) => { log_with!(warn, Warn, $($arg)+) }; }

/// Gives a line to the logger. Unlike the macros of `log` it leaves out the place in the source:
/// firmware would have the path of each file in flash, and another size wherever it is built.
#[cfg(feature = "log")]
pub fn pass_on(level: log::Level, module: &'static str, text: fmt::Arguments<'_>) {
    let mut record = log::Record::builder();
    record.level(level).target(module).module_path_static(Some(module)).args(text);
    log::logger().log(&record.build());
}

/// Bytes from the wire, fit for a log line: printable ASCII and UTF-8 text as they are,
/// control characters and stray bytes escaped, so that no name can forge a line.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    c if c.is_control() || is_format(c) => write!(f, "{}", c.escape_default())?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Invisible characters that can turn the text around them over on a terminal.
fn is_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn nothing_forges_a_line() {
        assert_eq!(Escaped(b"a\r\nb\x1b[2J\\").to_string(), "a\\r\\nb\\u{1b}[2J\\\\");
        assert_eq!(Escaped("Grüße \u{202e}".as_bytes()).to_string(), "Grüße \\u{202e}");
        assert_eq!(Escaped(b"\xff\xc3").to_string(), "\\xff\\xc3");
    }
}
