//! Who we are, and why we cannot be that.

use core::fmt;
use core::ops::RangeInclusive;

use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::addressing::{Address, HostName, Route};

/// Who we are on the network.
#[derive(Clone, Debug)]
pub struct Config<'c> {
    /// Our hardware address. It must be unicast.
    pub hardware: EthernetAddress,
    /// Where our addresses come from.
    pub addresses: &'c [Address],
    /// The ways to other networks, besides those that a DHCP server or routers tell.
    pub routes: &'c [Route],
    /// What we are called; a DHCP server is told.
    pub host_name: Option<&'static HostName>,
    /// First and last port for data connections that clients open. No service may have one
    /// of them.
    pub passive_ports: RangeInclusive<u16>,
    /// A random number that is new at every start, and that nobody can guess: sequence
    /// numbers, ports and the index depend on it.
    pub seed: u128,
}

/// Why a [`Config`] is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// More addresses than smoltcp was compiled for: the variable
    /// `SMOLTCP_IFACE_MAX_ADDR_COUNT` of the build says how many.
    TooManyAddresses,
    /// More routes than smoltcp was compiled for: `SMOLTCP_IFACE_MAX_ROUTE_COUNT`.
    TooManyRoutes,
    /// Two routes lead to this network.
    TwoRoutes(IpCidr),
    /// This router is on none of our networks.
    NotOnLink(IpAddress),
    /// An address is none that a host can have, or the hardware address none of one host's.
    NotUnicast,
    /// The device is too small for IPv6.
    SmallMtu,
    /// The feature `dhcp` is off.
    NoDhcp,
    /// The memory has no slots, or less for something than its slots need: it lacks this.
    Memory(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use smoltcp::config::{IFACE_MAX_ADDR_COUNT, IFACE_MAX_ROUTE_COUNT};
        match self {
            ConfigError::TooManyAddresses => {
                write!(
                    f,
                    "more than {IFACE_MAX_ADDR_COUNT} addresses, with those that come by themselves"
                )
            }
            ConfigError::TooManyRoutes => {
                write!(
                    f,
                    "more than {IFACE_MAX_ROUTE_COUNT} routes, with those that come by themselves"
                )
            }
            ConfigError::TwoRoutes(cidr) => write!(f, "two routes to {cidr}"),
            ConfigError::NotOnLink(router) => {
                write!(f, "the router {router} is on none of our networks")
            }
            ConfigError::NotUnicast => f.write_str("an address is not unicast"),
            ConfigError::SmallMtu => f.write_str("IPv6 needs an MTU of 1280 bytes"),
            ConfigError::NoDhcp => {
                f.write_str("this program was built without DHCP (the feature `dhcp`)")
            }
            ConfigError::Memory(missing) => write!(f, "the memory lacks {missing}"),
        }
    }
}

impl core::error::Error for ConfigError {}
