//! The reply to STAT without an argument (RFC 959 section 4.1.3).

use core::fmt::{self, Write};
use core::net::SocketAddr;

use super::command::Verb;
use super::reply::Text;
use crate::log::Escaped;
use crate::stream::Stream;
use crate::time::Duration;

/// The session, and the transfer if one is running.
pub(super) struct Report<'a> {
    pub peer: SocketAddr,
    pub user: Escaped<'a>,
    pub representation: &'static str,
    pub mode: &'static str,
    pub transfer: Option<Running>,
}

/// A transfer that is running.
pub(super) struct Running {
    pub verb: Verb,
    pub bytes: u64,
    /// The size of the file, where it is known.
    pub size: Option<u64>,
    pub time: Duration,
}

impl Running {
    fn write(&self, text: &mut Text<'_>) -> fmt::Result {
        let Self { verb, bytes, size, time } = *self;
        write!(text, " {verb}: {bytes}")?;
        if let Some(size) = size {
            write!(text, " of {size}")?;
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = bytes.saturating_mul(1000) / millis;
        write!(text, " bytes in {} s, {rate} bytes/s", time.as_secs())?;
        if let Some(left) = size.and_then(|size| size.saturating_sub(bytes).checked_div(rate)) {
            write!(text, ", {left} s left")?;
        }
        text.write_str("\r\n")
    }
}

impl Report<'_> {
    /// Queues the report. The caller has seen to it that there is room.
    pub fn send(&self, control: &mut dyn Stream) {
        let _ = self.write(&mut Text(control));
    }

    fn write(&self, text: &mut Text<'_>) -> fmt::Result {
        write!(text, "211-tinyftp {}\r\n", env!("CARGO_PKG_VERSION"))?;
        write!(text, " Connected to {}\r\n Logged in as {}\r\n", self.peer.ip(), self.user)?;
        write!(text, " TYPE: {}; STRU: File; MODE: {}\r\n", self.representation, self.mode)?;
        match &self.transfer {
            None => text.write_str(" No transfer\r\n")?,
            Some(running) => running.write(text)?,
        }
        text.write_str("211 End of status\r\n")
    }
}
