//! Who we are on the network, as the options say it: addresses, routes, the hardware address.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;

use sha2::{Digest, Sha256};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};
use tinyftp::net::{Address, Plan, Route, is_host};

/// `--address`.
pub fn address(text: &str) -> Result<Address, String> {
    if text.eq_ignore_ascii_case("dhcp") {
        return Ok(Address::Dhcp);
    }
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Address::Auto);
    }
    let expected =
        "expected an address and a prefix length, such as 192.168.69.1/24, or dhcp, or auto";
    let cidr: IpCidr = text.parse().map_err(|()| expected)?;
    if !is_host(cidr) {
        return Err("this is no address that a host can have on this network".into());
    }
    Ok(Address::Fixed(cidr))
}

/// An address and its network, if they are known at the start.
pub fn fixed(address: &Address) -> Option<IpCidr> {
    if let Address::Fixed(cidr) = *address { Some(cidr) } else { None }
}

/// Where an address comes from, in words, if this is the plan.
pub fn words(address: &Address, plan: &Plan) -> String {
    match address {
        Address::Fixed(cidr) => cidr.to_string(),
        Address::Dhcp => "from DHCP".into(),
        Address::Auto if plan.link_local => "from routers and DHCP, or link-local".into(),
        Address::Auto => "from routers".into(),
    }
}

/// `--gateway`: the way to everywhere.
pub fn gateway(text: &str) -> Result<Route, String> {
    let expected = "expected the address of a router, such as 192.168.69.100";
    let via: IpAddress = text.parse().map_err(|()| expected)?;
    let everywhere = match via {
        IpAddress::Ipv4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddress::Ipv6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    if via.is_unicast() {
        return Ok(Route { cidr: IpCidr::new(everywhere, 0), via });
    }
    Err(expected.into())
}

/// `--route`: the way to one network.
pub fn route(text: &str) -> Result<Route, String> {
    let expected = "expected a network and its router, such as 10.0.0.0/8=192.168.69.100";
    let (cidr, via) = text.split_once('=').ok_or(expected)?;
    let cidr: IpCidr = cidr.parse().map_err(|()| expected)?;
    let via: IpAddress = via.parse().map_err(|()| expected)?;
    if !via.is_unicast() {
        return Err(expected.into());
    }
    if cidr.address().version() != via.version() {
        return Err("expected a network and a router of the same version of IP".into());
    }
    if network_of(cidr) != cidr {
        return Err(format!("{cidr} is in a network, which is {}", network_of(cidr)));
    }
    Ok(Route { cidr, via })
}

/// `--hardware`.
pub fn hardware(text: &str) -> Result<EthernetAddress, String> {
    match text.parse::<EthernetAddress>() {
        Ok(address) if address.is_unicast() && address.0 != [0; 6] => Ok(address),
        _ => Err("expected a unicast hardware address, such as 02:00:c0:a8:45:01".into()),
    }
}

/// No address twice, and no two ways to the same network.
pub fn check(addresses: &[Address], routes: &[Route]) -> Result<(), String> {
    for (nth, address) in addresses.iter().enumerate() {
        let is_same = |other: &Address| match (fixed(address), fixed(other)) {
            (Some(one), Some(other)) => one.address() == other.address(),
            _ => address == other,
        };
        if addresses[..nth].iter().any(is_same) {
            return Err(match address {
                Address::Fixed(cidr) => format!("--address: {} is given twice", cidr.address()),
                Address::Dhcp => "--address: dhcp is given twice".into(),
                Address::Auto => "--address: auto is given twice".into(),
            });
        }
    }
    for (nth, route) in routes.iter().enumerate() {
        check_router(addresses, route.via)?;
        if routes[..nth].iter().any(|other| other.cidr == route.cidr) {
            return Err(match route.cidr.prefix_len() {
                0 => format!("--gateway: one for {} is enough", route.via.version()),
                _ => format!("--route: {} has two routers, expected one", route.cidr),
            });
        }
    }
    Ok(())
}

/// A router is a neighbor. Whether it will be one at an address that is not known yet, the time
/// will show.
fn check_router(addresses: &[Address], via: IpAddress) -> Result<(), String> {
    let cidrs = || addresses.iter().filter_map(fixed);
    if cidrs().any(|cidr| cidr.address() == via) {
        return Err(format!("the router {via} is the server itself"));
    }
    let near = cidrs().find(|cidr| cidr.contains_addr(&via));
    if near.is_some_and(|cidr| !is_host(IpCidr::new(via, cidr.prefix_len()))) {
        return Err(format!("the router {via} is the address of a network, or broadcast"));
    }
    if near.is_some() || Plan::of(addresses).may_reach(via.into()) {
        return Ok(());
    }
    Err(format!("the router {via} is on none of our networks: {}", list(addresses)))
}

/// Whether this is an address of ours, or may become one.
pub fn may_be_ours(addresses: &[Address], hardware: EthernetAddress, ip: IpAddr) -> bool {
    let is_it = |own: &Address| fixed(own).is_some_and(|cidr| IpAddr::from(cidr.address()) == ip);
    addresses.iter().any(is_it) || Plan::of(addresses).may_bring(ip, hardware)
}

/// Our addresses, in words.
pub fn list(addresses: &[Address]) -> String {
    let plan = Plan::of(addresses);
    addresses.iter().map(|address| words(address, &plan)).collect::<Vec<_>>().join(", ")
}

/// The network that an address is in.
fn network_of(cidr: IpCidr) -> IpCidr {
    match cidr {
        IpCidr::Ipv4(cidr) => Ipv4Cidr::network(&cidr).into(),
        IpCidr::Ipv6(cidr) => {
            let hosts = u128::MAX.checked_shr(cidr.prefix_len().into()).unwrap_or(0);
            let network = Ipv6Addr::from_bits(cidr.address().to_bits() & !hosts);
            Ipv6Cidr::new(network, cidr.prefix_len()).into()
        }
    }
}

/// A locally administered address for this TAP device of this network namespace of this machine:
/// the same at every start, so that neighbors and DHCP servers know us again, and another's for
/// another server, whatever addresses both have.
pub fn hardware_address(tap: &str) -> EthernetAddress {
    // A machine without an identity has one until it is started anew.
    let places = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
    let machine = places.iter().filter_map(|place| fs::read(place).ok()).find(|id| id.len() > 16);
    let namespace = fs::metadata("/proc/self/ns/net").map_or(0, |namespace| namespace.ino());
    // The identity of the machine is nobody else's business (machine-id(5)): a hash hides it.
    let digest = Sha256::new()
        .chain_update("tinyftp hardware address")
        .chain_update(machine.unwrap_or_default())
        .chain_update(namespace.to_be_bytes())
        .chain_update(tap)
        .finalize();
    let [a, b, c, d, e, f, ..]: [u8; 32] = digest.into();
    // Not of a group, and locally administered.
    EthernetAddress([a & !0x01 | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Address {
        address(text).unwrap()
    }

    fn check_of(addresses: &[&str], routes: &[Route]) -> Result<(), String> {
        let addresses: Vec<_> = addresses.iter().map(|text| own(text)).collect();
        check(&addresses, routes)
    }

    #[test]
    fn addresses() {
        for good in ["10.0.0.1/8", "fd00::1/64", "192.0.2.1/31", "192.0.2.1/32", "fe80::1/64"] {
            assert_eq!(list(&[own(good)]), good);
        }
        assert_eq!([own("dhcp"), own("AUTO")], [Address::Dhcp, Address::Auto]);
        let error = |text: &str| address(text).unwrap_err();
        for bad in ["", "static", "192.168.69.1", "192.168.69.300/24", "10.0.0.1/33", "::1/129"] {
            assert!(error(bad).starts_with("expected an address and a prefix"), "{bad}");
        }
        for bad in [
            "224.0.0.1/8",
            "ff02::1/64",
            "0.0.0.0/0",
            "::/0",
            "127.0.0.1/8",
            "::1/128",
            "240.0.0.1/4",
            "192.168.69.0/24",
            "192.168.69.255/24",
        ] {
            assert!(error(bad).starts_with("this is no address that a host"), "{bad}");
        }
    }

    #[test]
    fn an_address_is_given_once() {
        let error = |addresses: &[&str]| check_of(addresses, &[]).unwrap_err();
        assert_eq!(
            error(&["10.0.0.1/8", "fd00::1/64", "10.0.0.1/16"]),
            "--address: 10.0.0.1 is given twice"
        );
        assert_eq!(error(&["dhcp", "auto", "dhcp"]), "--address: dhcp is given twice");
        assert_eq!(check_of(&["10.0.0.1/8", "10.0.0.2/8", "dhcp", "auto"], &[]), Ok(()));
    }

    #[test]
    fn routes() {
        let good = route("10.0.0.0/8=192.168.69.100").unwrap();
        assert_eq!(
            (good.cidr.to_string(), good.via.to_string()),
            ("10.0.0.0/8".into(), "192.168.69.100".into())
        );
        assert_eq!(route("0.0.0.0/0=192.0.2.1"), gateway("192.0.2.1"));
        assert_eq!(route("::/0=fe80::1"), gateway("fe80::1"));
        for bad in
            ["", "10.0.0.0/8", "10.0.0.0=192.0.2.1", "10.0.0.0/8=x", "=", "10.0.0.0/8=224.0.0.1"]
        {
            assert!(route(bad).unwrap_err().contains("such as 10.0.0.0/8=192.168.69.100"), "{bad}");
        }
        for bad in ["", "x", "192.0.2.1/24", "0.0.0.0", "ff02::1"] {
            assert!(gateway(bad).unwrap_err().contains("such as 192.168.69.100"), "{bad}");
        }
        let error = route("10.0.0.0/8=fd00::1").unwrap_err();
        assert_eq!(error, "expected a network and a router of the same version of IP");
        let error = route("10.1.0.0/8=192.0.2.1").unwrap_err();
        assert_eq!(error, "10.1.0.0/8 is in a network, which is 10.0.0.0/8");
        let error = route("fd00:1::1/32=fe80::1").unwrap_err();
        assert_eq!(error, "fd00:1::1/32 is in a network, which is fd00:1::/32");
        assert!(route("fd00::1/128=fe80::1").is_ok());
    }

    #[test]
    fn routers_are_neighbors() {
        let both = ["192.0.2.1/24", "fd00::1/64"];
        let via = |addresses: &[&str], via| check_of(addresses, &[gateway(via).unwrap()]);
        for good in ["192.0.2.254", "fd00::2", "fe80::1"] {
            assert_eq!(via(&both, good), Ok(()));
        }
        assert_eq!(
            via(&both, "10.0.0.1").unwrap_err(),
            "the router 10.0.0.1 is on none of our networks: 192.0.2.1/24, fd00::1/64"
        );
        assert_eq!(
            via(&both, "192.0.2.1").unwrap_err(),
            "the router 192.0.2.1 is the server itself"
        );
        let error = via(&both, "192.0.2.255").unwrap_err();
        assert_eq!(error, "the router 192.0.2.255 is the address of a network, or broadcast");
        assert_eq!(via(&["dhcp"], "10.0.0.1"), Ok(()));
        assert_eq!(via(&["auto"], "fd00::2"), Ok(()));
        assert!(via(&["dhcp"], "fd00::2").is_err());
        assert_eq!(via(&["auto"], "10.0.0.1"), Ok(()));
        // A fixed address is all that there is of IPv4.
        assert!(via(&["auto", "192.0.2.1/24"], "10.0.0.1").is_err());
    }

    #[test]
    fn where_addresses_come_from() {
        let words = |addresses: &[&str]| {
            let addresses: Vec<_> = addresses.iter().map(|text| own(text)).collect();
            list(&addresses)
        };
        assert_eq!(words(&["auto"]), "from routers and DHCP, or link-local");
        assert_eq!(
            words(&["fd00::1/64", "auto"]),
            "fd00::1/64, from routers and DHCP, or link-local"
        );
        assert_eq!(words(&["192.0.2.1/24", "auto"]), "192.0.2.1/24, from routers");
        assert_eq!(words(&["dhcp"]), "from DHCP");
    }

    #[test]
    fn a_network_has_one_router() {
        let twice = |one, other| check_of(&["192.0.2.1/24", "fd00::1/64"], &[one, other]);
        let (one, other) = (gateway("192.0.2.2").unwrap(), gateway("192.0.2.3").unwrap());
        assert_eq!(twice(one, other).unwrap_err(), "--gateway: one for IPv4 is enough");
        assert_eq!(twice(one, gateway("fd00::2").unwrap()), Ok(()));
        let way = |text| route(text).unwrap();
        let error = twice(way("10.0.0.0/8=192.0.2.2"), way("10.0.0.0/8=192.0.2.3")).unwrap_err();
        assert_eq!(error, "--route: 10.0.0.0/8 has two routers, expected one");
        assert_eq!(twice(way("10.0.0.0/8=192.0.2.2"), way("10.0.0.0/16=192.0.2.2")), Ok(()));
    }

    #[test]
    fn hardware_addresses() {
        let address = hardware("02-00-c0-A8-45-01").unwrap();
        assert_eq!(address, hardware("02:00:C0:a8:45:01").unwrap());
        for bad in ["", "x", "02:00:c0:a8:45", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            assert!(hardware(bad).unwrap_err().contains("such as 02:00:c0:a8:45:01"), "{bad}");
        }
        let made = hardware_address("tap0");
        assert!(made.is_unicast() && made.is_local());
        assert_eq!(made, hardware_address("tap0"));
        assert_ne!(made, hardware_address("tap1"));
    }
}
