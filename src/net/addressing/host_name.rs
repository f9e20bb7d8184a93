//! What we are called.

#[cfg(feature = "dhcp")]
use smoltcp::wire::DhcpOption;

/// RFC 1035 section 2.3.4.
const LEN_MAX: usize = 63;
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
        let bytes = name.as_bytes();
        if bytes.is_empty() || bytes.len() > LEN_MAX {
            return None;
        }
        let mut at = 0;
        while at < bytes.len() {
            let inside = at > 0 && at + 1 < bytes.len();
            if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-' && inside) {
                return None;
            }
            at += 1;
        }
        Some(Self {
            name,
            #[cfg(feature = "dhcp")]
            options: [DhcpOption { kind: HOST_NAME_OPTION, data: bytes }],
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
