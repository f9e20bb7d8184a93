//! The syntax of addresses: PORT and PASV (RFC 959), EPRT and EPSV (RFC 2428).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::command::number;

/// Why an address argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressError {
    /// It has not the form that the RFC wants.
    Syntax,
    /// Its network protocol is not the one of the control connection (RFC 2428: 522).
    Protocol,
    /// It is not the client's own address, or a port below 1024 (RFC 2577 section 3).
    Foreign,
}

/// The protocol number of an address in RFC 2428.
pub(super) fn protocol(address: IpAddr) -> u64 {
    if address.is_ipv4() { 1 } else { 2 }
}

/// The argument of PORT, `h1,h2,h3,h4,p1,p2`.
pub(super) fn port(argument: &[u8]) -> Result<SocketAddr, AddressError> {
    let mut bytes = [0; 6];
    let mut fields = argument.trim_ascii().split(|&b| b == b',');
    for byte in &mut bytes {
        let field = fields.next().and_then(|field| number(field.trim_ascii()));
        *byte = field.and_then(|n| u8::try_from(n).ok()).ok_or(AddressError::Syntax)?;
    }
    if fields.next().is_some() {
        return Err(AddressError::Syntax);
    }
    let [a, b, c, d, high, low] = bytes;
    Ok(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
}

/// The argument of EPRT, `|protocol|address|port|`, with whatever delimiter it begins with.
pub(super) fn eprt(argument: &[u8]) -> Result<SocketAddr, AddressError> {
    let argument = argument.trim_ascii();
    let (&delimiter, rest) = argument.split_first().ok_or(AddressError::Syntax)?;
    let mut fields = rest.split(|&b| b == delimiter);
    let mut field = || fields.next().ok_or(AddressError::Syntax);
    let (protocol, address, port, end) = (field()?, field()?, field()?, field()?);
    let address = core::str::from_utf8(address).map_err(|_| AddressError::Syntax)?;
    let address: IpAddr = match number(protocol).ok_or(AddressError::Syntax)? {
        1 => address.parse::<Ipv4Addr>().map_err(|_| AddressError::Syntax)?.into(),
        2 => without_zone(address).parse::<Ipv6Addr>().map_err(|_| AddressError::Syntax)?.into(),
        _ => return Err(AddressError::Protocol),
    };
    let port = number(port).and_then(|port| u16::try_from(port).ok());
    match (port, end, fields.next()) {
        (Some(port), [], None) => Ok(SocketAddr::new(address, port)),
        _ => Err(AddressError::Syntax),
    }
}

/// An IPv6 address without the zone that some clients leave with it (RFC 4007 section 11): it is
/// the name of an interface of theirs, and says nothing here.
fn without_zone(address: &str) -> &str {
    address.split_once('%').map_or(address, |(address, _)| address)
}

/// Whether the server may connect to `target` for a client at `peer`: only to the client
/// itself and to no system port, or the server could be made to reach third parties.
pub(super) fn check(target: SocketAddr, peer: SocketAddr) -> Result<SocketAddr, AddressError> {
    if target.is_ipv4() != peer.is_ipv4() {
        Err(AddressError::Protocol)
    } else if target.ip() != peer.ip() || target.port() < 1024 {
        Err(AddressError::Foreign)
    } else {
        Ok(target)
    }
}

/// An address as PASV tells it: `h1,h2,h3,h4,p1,p2`.
pub(super) struct HostPort(pub Ipv4Addr, pub u16);

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([a, b, c, d], [high, low]) = (self.0.octets(), self.1.to_be_bytes());
        write!(f, "{a},{b},{c},{d},{high},{low}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_arguments() {
        let client = SocketAddr::from(([192, 0, 2, 1], 40_001));
        assert_eq!(port(b"192,0,2,1,156,65"), Ok(client));
        assert_eq!(port(b" 192, 0, 2, 1, 156, 65 "), Ok(client));
        for bad in ["", "192,0,2,1,156", "192,0,2,1,156,65,1", "192,0,2,256,1,1", "a,0,2,1,1,1"] {
            assert_eq!(port(bad.as_bytes()), Err(AddressError::Syntax), "{bad}");
        }
    }

    #[test]
    fn eprt_arguments() {
        assert_eq!(eprt(b"|1|192.0.2.1|40001|"), Ok(SocketAddr::from(([192, 0, 2, 1], 40_001))));
        let six: Ipv6Addr = "2001:db8::1".parse().unwrap();
        for good in ["|2|2001:db8::1|40001|", "|2|2001:db8::1%eth0|40001|"] {
            assert_eq!(eprt(good.as_bytes()), Ok(SocketAddr::from((six, 40_001))));
        }
        assert_eq!(eprt(b"!1!192.0.2.1!40001!"), eprt(b"|1|192.0.2.1|40001|"));
        assert_eq!(eprt(b"|3|x|40001|"), Err(AddressError::Protocol));
        for bad in ["", "|", "|1|192.0.2.1|40001", "|1|2001:db8::1|1|", "|1|192.0.2.1|65536|"] {
            assert_eq!(eprt(bad.as_bytes()), Err(AddressError::Syntax), "{bad}");
        }
    }

    #[test]
    fn only_to_the_client_itself() {
        let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
        let ask = |address: [u8; 4], port: u16| check(SocketAddr::from((address, port)), peer);
        assert!(ask([192, 0, 2, 1], 1024).is_ok());
        assert_eq!(ask([192, 0, 2, 1], 1023), Err(AddressError::Foreign));
        assert_eq!(ask([192, 0, 2, 2], 40_000), Err(AddressError::Foreign));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 40_000));
        assert_eq!(check(six, peer), Err(AddressError::Protocol));
    }
}
