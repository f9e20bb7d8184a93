//! Names of hosts.

/// Octets of a label, at most (RFC 1035 section 2.3.4).
pub(crate) const LABEL: usize = 63;

/// Whether this is a label of a host's name of at most so many octets: letters, digits and hyphens,
/// neither first nor last a hyphen (RFC 1123 section 2.1).
pub(crate) const fn is_label(label: &str, longest: usize) -> bool {
    let bytes = label.as_bytes();
    if bytes.is_empty() || bytes.len() > longest {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        let inside = at > 0 && at + 1 < bytes.len();
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-' && inside) {
            return false;
        }
        at += 1;
    }
    true
}
