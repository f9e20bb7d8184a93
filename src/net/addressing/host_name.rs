//! What we are called.

#[cfg(feature = "dhcp")]
use smoltcp::wire::DhcpOption;

use crate::label::{LABEL, is_label};

/// RFC 2132 section 3.14.
#[cfg(feature = "dhcp")]
const HOST_NAME_OPTION: u8 = 12;

/// The name of a host, without a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: &'static str,
    #[cfg(feature = "dhcp")]
    options: [DhcpOption<'static>; 1],
}

impl HostName {
    /// A name of 1 to 63 letters, digits and hyphens, neither first nor last a hyphen (RFC 1123
    /// section 2.1); `None` if it is another.
    pub const fn new(name: &'static str) -> Option<Self> {
        if !is_label(name, LABEL) {
            return None;
        }
        Some(Self {
            name,
            #[cfg(feature = "dhcp")]
            options: [DhcpOption { kind: HOST_NAME_OPTION, data: name.as_bytes() }],
        })
    }

    /// The name.
    pub const fn as_str(&self) -> &'static str {
        self.name
    }

    /// How a DHCP server is told.
    #[cfg(feature = "dhcp")]
    pub(super) const fn options(&self) -> &[DhcpOption<'static>] {
        &self.options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a23456789b123456789c123456789d123456789e123456789f123456789g123";
        for good in ["a", "tinyftp", "7", "a-b", longest] {
            assert_eq!(HostName::new(good).map(|name| name.as_str()), Some(good));
        }
        let too_long = "a23456789b123456789c123456789d123456789e123456789f123456789g1234";
        for bad in ["", "-", "-a", "a-", "a.b", "a b", "ä", "a_b", too_long] {
            assert_eq!(HostName::new(bad), None, "{bad}");
        }
    }
}
