//! What is announced, as the caller says it.

use core::fmt;

pub(super) use crate::label::LABEL;
use crate::label::is_label;

/// Addresses that a name resolves to, at most: the first of those that we have.
pub const ADDRESSES: usize = 8;
/// Services that are announced, at most.
pub const SERVICES: usize = 8;
/// Octets that a service says of itself, at most, with one for each string.
pub const TEXT: usize = 256;

/// What is announced.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The name, without `.local`: at most 63 letters, digits and hyphens.
    pub hostname: &'a str,
    /// The services.
    pub services: &'a [Advertised<'a>],
    /// A number that differs from host to host: of it delays are made.
    pub seed: u64,
}

/// A service that can be found.
#[derive(Clone, Copy, Debug)]
pub struct Advertised<'a> {
    /// What it is, such as `_ftp._tcp` (RFC 6763, 7).
    pub kind: &'a str,
    /// Its port.
    pub port: u16,
    /// What else there is to say of it, such as `path=/pub` (RFC 6763, 6).
    pub txt: &'a [&'a str],
}

/// Why a [`Config`] is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The name of the host is none.
    Hostname,
    /// The kind of a service is none.
    Kind,
    /// Two services are of the same kind.
    SameKind,
    /// More services than [`SERVICES`].
    TooManyServices,
    /// More to say of a service than [`TEXT`], or a string of more than 255 octets.
    TextTooLong,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfigError::Hostname => {
                "a host name is 1 to 63 letters, digits and hyphens, with no hyphen at either end"
            }
            ConfigError::Kind => {
                "a kind of service is written like _ftp._tcp, with 1 to 15 letters, digits and \
                 hyphens"
            }
            ConfigError::SameKind => "two services are of the same kind",
            ConfigError::TooManyServices => "too many services",
            ConfigError::TextTooLong => "the text of a service is too long",
        })
    }
}

impl core::error::Error for ConfigError {}

impl Config<'_> {
    /// Whether all of it can be announced.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !is_label(self.hostname, LABEL) {
            return Err(ConfigError::Hostname);
        }
        if self.services.len() > SERVICES {
            return Err(ConfigError::TooManyServices);
        }
        for (n, service) in self.services.iter().enumerate() {
            service.check()?;
            let is_same = |other: &Advertised<'_>| other.kind.eq_ignore_ascii_case(service.kind);
            if self.services.iter().take(n).any(is_same) {
                return Err(ConfigError::SameKind);
            }
        }
        Ok(())
    }
}

impl Advertised<'_> {
    fn check(&self) -> Result<(), ConfigError> {
        let (name, protocol) = self.kind.split_once('.').ok_or(ConfigError::Kind)?;
        let is_protocol = ["_tcp", "_udp"].iter().any(|p| protocol.eq_ignore_ascii_case(p));
        if !is_protocol || !name.strip_prefix('_').is_some_and(|name| is_label(name, 15)) {
            return Err(ConfigError::Kind);
        }
        let text = self.txt.iter().fold(0, |sum: usize, txt| sum.saturating_add(1 + txt.len()));
        if text > TEXT || self.txt.iter().any(|txt| txt.len() > 255) {
            return Err(ConfigError::TextTooLong);
        }
        Ok(())
    }
}
