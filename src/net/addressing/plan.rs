//! What a configuration comes to, or why it cannot be.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::config::{IFACE_MAX_ADDR_COUNT, IFACE_MAX_ROUTE_COUNT};
use smoltcp::wire::{EthernetAddress, IpCidr};

use super::{Address, Route};
use crate::net::{Config, ConfigError};

/// RFC 8200 section 5: the least MTU for IPv6.
const IPV6_MIN_MTU: usize = 1280;

/// What a list of addresses comes to, besides those that are told beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A DHCP server is asked.
    pub dhcp: bool,
    /// Without an answer an IPv4 address is chosen.
    pub link_local: bool,
    /// An IPv6 address for the link is made of the hardware address.
    pub ipv6_link_local: bool,
    /// Routers are listened to.
    pub routers: bool,
}

impl Plan {
    /// What these addresses come to.
    pub fn of(addresses: &[Address]) -> Self {
        let auto = addresses.contains(&Address::Auto);
        let asks = addresses.contains(&Address::Dhcp);
        let auto_v4 = auto && cfg!(feature = "ipv4") && !fixed(addresses).any(is_v4);
        let ipv6 = cfg!(feature = "ipv6");
        Self {
            dhcp: cfg!(feature = "dhcp") && (asks || auto_v4),
            link_local: auto_v4,
            ipv6_link_local: ipv6 && !fixed(addresses).any(is_ipv6_link_local),
            routers: ipv6 && auto,
        }
    }

    /// What a configuration comes to, or why it cannot be.
    pub(super) fn new(config: &Config<'_>, ip_mtu: usize) -> Result<Self, ConfigError> {
        let mut plan = Self::of(config.addresses);
        if config.addresses.contains(&Address::Dhcp) && !plan.dhcp {
            return Err(ConfigError::NoDhcp);
        }
        if !fixed(config.addresses).all(is_host) {
            return Err(ConfigError::NotUnicast);
        }
        if ip_mtu < IPV6_MIN_MTU {
            if !fixed(config.addresses).all(is_v4) {
                return Err(ConfigError::SmallMtu);
            }
            plan = Self { ipv6_link_local: false, routers: false, ..plan };
        }
        plan.check_room(config)?;
        plan.check_routes(config)?;
        Ok(plan)
    }

    /// Whether there is to be an IPv4 address that is not told beforehand.
    pub fn has_ipv4(&self) -> bool {
        self.dhcp || self.link_local
    }

    /// Whether this may become an address of ours, if this is our hardware address.
    pub fn may_bring(&self, ip: IpAddr, hardware: EthernetAddress) -> bool {
        match ip {
            IpAddr::V4(ip) => self.dhcp || self.link_local && ip.is_link_local(),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                self.ipv6_link_local && ip == link_local(hardware)
            }
            IpAddr::V6(_) => self.routers,
        }
    }

    /// Whether a router may be on a network that is not told beforehand.
    pub fn may_reach(&self, router: IpAddr) -> bool {
        match router {
            IpAddr::V4(_) => self.has_ipv4(),
            IpAddr::V6(router) => {
                self.routers || self.ipv6_link_local && router.is_unicast_link_local()
            }
        }
    }

    /// One address of each kind must fit that is not told beforehand.
    fn check_room(&self, config: &Config<'_>) -> Result<(), ConfigError> {
        let untold = [self.has_ipv4(), self.ipv6_link_local, self.routers];
        let untold: usize = untold.into_iter().map(usize::from).sum();
        if fixed(config.addresses).count() + untold > IFACE_MAX_ADDR_COUNT {
            return Err(ConfigError::TooManyAddresses);
        }
        let untold = usize::from(self.dhcp) + usize::from(self.routers);
        if config.routes.len() + untold > IFACE_MAX_ROUTE_COUNT {
            return Err(ConfigError::TooManyRoutes);
        }
        Ok(())
    }

    fn check_routes(&self, config: &Config<'_>) -> Result<(), ConfigError> {
        for (at, route) in config.routes.iter().enumerate() {
            let Route { cidr, via } = *route;
            let same = |other: &Route| {
                cidr.contains_subnet(&other.cidr) && other.cidr.contains_subnet(&cidr)
            };
            if config.routes.iter().skip(at + 1).any(same) {
                return Err(ConfigError::TwoRoutes(cidr));
            }
            let alike = cidr.address().version() == via.version() && via.is_unicast();
            let is_ours = fixed(config.addresses).any(|own| own.address() == via);
            let is_on_link = fixed(config.addresses).any(|own| own.contains_addr(&via))
                || self.may_reach(via.into());
            if !alike || is_ours || !is_on_link {
                return Err(ConfigError::NotOnLink(via));
            }
        }
        Ok(())
    }
}

/// The addresses that are told beforehand.
pub fn fixed(addresses: &[Address]) -> impl Iterator<Item = IpCidr> {
    addresses.iter().filter_map(|address| match *address {
        Address::Fixed(cidr) => Some(cidr),
        Address::Dhcp | Address::Auto => None,
    })
}

/// Whether a host can have this address on this network (RFC 1122 section 3.2.1.3, RFC 4291
/// section 2.4).
pub fn is_host(cidr: IpCidr) -> bool {
    let ip = IpAddr::from(cidr.address());
    let is_one = !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast();
    is_one
        && match cidr {
            #[cfg(feature = "ipv4")]
            IpCidr::Ipv4(cidr) => {
                let address = cidr.address();
                let ends = [Some(cidr.network().address()), cidr.broadcast()];
                // RFC 3021: on a link of two both are hosts.
                let is_end = cidr.prefix_len() < 31 && ends.contains(&Some(address));
                // RFC 6890 section 2.2.2: this network, and what is reserved.
                (1..240).contains(&address.octets()[0]) && !is_end
            }
            #[cfg(feature = "ipv6")]
            IpCidr::Ipv6(_) => true,
        }
}

/// The IPv6 address for the link that is made of a hardware address (RFC 4291 sections 2.5.6 and
/// 2.5.1).
pub fn link_local(hardware: EthernetAddress) -> Ipv6Addr {
    with_identifier(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), hardware)
}

/// An address of a network whose other half is made of our hardware address (RFC 4291 appendix
/// A).
pub fn with_identifier(prefix: Ipv6Addr, hardware: EthernetAddress) -> Ipv6Addr {
    let [a, b, c, d, e, f] = hardware.0;
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    let network = prefix.to_bits() >> 64 << 64;
    Ipv6Addr::from_bits(network | u128::from(identifier))
}

fn is_v4(cidr: IpCidr) -> bool {
    IpAddr::from(cidr.address()).is_ipv4()
}

fn is_ipv6_link_local(cidr: IpCidr) -> bool {
    matches!(IpAddr::from(cidr.address()), IpAddr::V6(address) if address.is_unicast_link_local())
}
