//! What a configuration comes to, or why it cannot be.

use core::net::IpAddr;

use smoltcp::config::{IFACE_MAX_ADDR_COUNT, IFACE_MAX_ROUTE_COUNT};
use smoltcp::wire::{IpAddress, IpCidr};

use super::{Address, Route};
use crate::net::{Config, ConfigError};

/// RFC 8200 section 5: the least MTU for IPv6.
const IPV6_MIN_MTU: usize = 1280;

/// What a configuration comes to.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// A DHCP server is asked.
    pub dhcp: bool,
    /// Without an answer an IPv4 address is chosen.
    pub link_local: bool,
    pub ipv6_link_local: bool,
    /// Routers are listened to.
    pub routers: bool,
}

impl Plan {
    pub fn new(config: &Config<'_>, ip_mtu: usize) -> Result<Self, ConfigError> {
        let auto = config.addresses.contains(&Address::Auto);
        let asks = config.addresses.contains(&Address::Dhcp);
        if asks && !cfg!(feature = "dhcp") {
            return Err(ConfigError::NoDhcp);
        }
        if fixed(config).any(|cidr| !cidr.address().is_unicast()) {
            return Err(ConfigError::NotUnicast);
        }
        let is_v4 = |cidr: &IpCidr| IpAddr::from(cidr.address()).is_ipv4();
        let auto_v4 = auto && cfg!(feature = "ipv4") && !fixed(config).any(|cidr| is_v4(&cidr));
        let ipv6 = cfg!(feature = "ipv6") && ip_mtu >= IPV6_MIN_MTU;
        if !ipv6 && fixed(config).any(|cidr| !is_v4(&cidr)) {
            return Err(ConfigError::SmallMtu);
        }
        let plan = Self {
            dhcp: cfg!(feature = "dhcp") && (asks || auto_v4),
            link_local: auto_v4,
            ipv6_link_local: ipv6 && !fixed(config).any(|cidr| is_ipv6_link_local(&cidr)),
            routers: ipv6 && auto,
        };
        plan.check_room(config)?;
        plan.check_routes(config)?;
        Ok(plan)
    }

    /// Whether there is to be an IPv4 address that is not told beforehand.
    pub fn has_ipv4(&self) -> bool {
        self.dhcp || self.link_local
    }

    /// One address of each kind must fit that is not told beforehand.
    fn check_room(&self, config: &Config<'_>) -> Result<(), ConfigError> {
        let untold = [self.has_ipv4(), self.ipv6_link_local, self.routers];
        let untold: usize = untold.into_iter().map(usize::from).sum();
        if fixed(config).count() + untold > IFACE_MAX_ADDR_COUNT {
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
            let is_ours = fixed(config).any(|own| own.address() == via);
            let is_on_link =
                fixed(config).any(|own| own.contains_addr(&via)) || self.may_reach(via);
            if !alike || is_ours || !is_on_link {
                return Err(ConfigError::NotOnLink(via));
            }
        }
        Ok(())
    }

    /// Whether a router may be on a network that is not told beforehand.
    fn may_reach(&self, router: IpAddress) -> bool {
        match IpAddr::from(router) {
            IpAddr::V4(_) => self.has_ipv4(),
            IpAddr::V6(router) => {
                self.routers || self.ipv6_link_local && router.is_unicast_link_local()
            }
        }
    }
}

/// The addresses that are told beforehand.
pub fn fixed(config: &Config<'_>) -> impl Iterator<Item = IpCidr> {
    config.addresses.iter().filter_map(|address| match *address {
        Address::Fixed(cidr) => Some(cidr),
        Address::Dhcp | Address::Auto => None,
    })
}

fn is_ipv6_link_local(cidr: &IpCidr) -> bool {
    matches!(IpAddr::from(cidr.address()), IpAddr::V6(address) if address.is_unicast_link_local())
}
