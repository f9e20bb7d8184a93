//! Which services there are, and where they are to be had: `--service` and `--listen`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use smoltcp::wire::EthernetAddress;
use tinyftp::net::{Address, Binding};
use tinyftp::service::{DatagramService, Service};
use tinyftp::services::mdns;

use super::network;

/// A service that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    name: &'static str,
    /// Where clients expect it.
    port: u16,
}

pub const FTP: Offer = Offer { name: "ftp", port: 21 };
pub const ECHO: Offer = Offer { name: "echo", port: 7 };
pub const DISCARD: Offer = Offer { name: "discard", port: 9 };
pub const DAYTIME: Offer = Offer { name: "daytime", port: 13 };

const OFFERS: [Offer; 4] = [FTP, ECHO, DISCARD, DAYTIME];

/// Ports that are not for these services: a client of DHCP has the one, mDNS the other.
const TAKEN: [u16; 2] = [68, mdns::PORT];

/// A service that is wanted, and at which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    offer: Offer,
    port: u16,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, port) = text.split_once(':').map_or((text, None), |(n, p)| (n, Some(p)));
        let Some(offer) = OFFERS.into_iter().find(|offer| offer.name.eq_ignore_ascii_case(name))
        else {
            let names = OFFERS.map(|offer| offer.name).join(", ");
            return Err(format!("there is no service {name}: {names}"));
        };
        Ok(Self { offer, port: port.map_or(Ok(offer.port), port_number)? })
    }
}

/// Where services may be had: at a port, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    address: IpAddr,
    port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected an own address, with a port or without one, \
                        such as 192.168.69.1:21, or [fd00:69::1]:21";
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self { address, port: None });
        }
        let endpoint: SocketAddr = text.parse().map_err(|_| expected)?;
        let port = port_number(&endpoint.port().to_string())?;
        Ok(Self { address: endpoint.ip(), port: Some(port) })
    }
}

fn port_number(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err("expected a port from 1 to 65535".into()),
    }
}

/// The services that are to be had.
#[derive(Debug, Default)]
pub struct Services(Vec<Row>);

#[derive(Debug)]
struct Row {
    offer: Offer,
    port: u16,
    /// Those of our addresses at which it is to be had; none means all of them.
    addresses: Vec<IpAddr>,
}

impl Services {
    /// Those that are wanted, at the addresses that are allowed them.
    pub fn new(wanted: &[Wanted], listen: &[Listen]) -> Result<Self, String> {
        let mut rows: Vec<Row> = Vec::new();
        for &Wanted { offer, port } in wanted {
            let name = offer.name;
            if rows.iter().any(|row| row.offer == offer) {
                return Err(format!("--service: {name} is given twice"));
            }
            if let Some(row) = rows.iter().find(|row| row.port == port) {
                let other = row.offer.name;
                return Err(format!("--service: {other} and {name} are both at port {port}"));
            }
            if TAKEN.contains(&port) {
                return Err(format!("--service: port {port} is for the server's own use"));
            }
            let is_for_it = |listen: &&Listen| listen.port.is_none_or(|only| only == port);
            let mut addresses = Vec::new();
            for Listen { address, .. } in listen.iter().filter(is_for_it) {
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
            rows.push(Row { offer, port, addresses });
        }
        Ok(Self(rows))
    }

    /// No port has two meanings.
    pub fn avoid(&self, (first, last): (u16, u16)) -> Result<(), String> {
        match self.0.iter().find(|row| (first..=last).contains(&row.port)) {
            Some(Row { port, .. }) => {
                Err(format!("--service: port {port} is also in --passive-ports {first}-{last}"))
            }
            None => Ok(()),
        }
    }

    /// Services are to be had only where we are, and only at the ports that they have.
    pub fn check(
        &self,
        listen: &[Listen],
        own: &[Address],
        hardware: EthernetAddress,
    ) -> Result<(), String> {
        for &Listen { address, port } in listen {
            if !network::may_be_ours(own, hardware, address) {
                let own = network::list(own);
                return Err(format!("--listen: {address} is none of our addresses: {own}"));
            }
            if let Some(port) = port
                && self.0.iter().all(|row| row.port != port)
            {
                let ports = self.0.iter().map(|row| format!("{} {}", row.offer.name, row.port));
                let ports = ports.collect::<Vec<_>>().join(", ");
                return Err(format!("--listen: no service is at port {port}: {ports}"));
            }
        }
        Ok(())
    }

    /// The row of the service table for a service over TCP.
    pub fn tcp<'s>(&'s self, offer: Offer, service: &'s mut dyn Service) -> Binding<'s> {
        Binding::tcp(offer.name, self.port(offer).unwrap_or(0), service).at(self.addresses(offer))
    }

    /// The row of the service table for a service over UDP.
    pub fn udp<'s>(&'s self, offer: Offer, service: &'s mut dyn DatagramService) -> Binding<'s> {
        Binding::udp(offer.name, self.port(offer).unwrap_or(0), service).at(self.addresses(offer))
    }

    /// The port of a service, if that is to be had.
    pub fn port(&self, offer: Offer) -> Option<u16> {
        self.row(offer).map(|row| row.port)
    }

    /// The only addresses of a service, if there are such.
    pub fn addresses(&self, offer: Offer) -> &[IpAddr] {
        self.row(offer).map_or(&[], |row| &row.addresses)
    }

    fn row(&self, offer: Offer) -> Option<&Row> {
        self.0.iter().find(|row| row.offer == offer)
    }
}

#[cfg(test)]
mod tests {
    use tinyftp::services::echo::Echo;

    use super::*;

    fn services(wanted: &[&str], listen: &[&str]) -> Result<Services, String> {
        let wanted: Result<Vec<_>, _> = wanted.iter().map(|text| text.parse()).collect();
        let listen: Result<Vec<_>, _> = listen.iter().map(|text| text.parse()).collect();
        Services::new(&wanted?, &listen?)
    }

    #[test]
    fn names_and_ports() {
        let services = services(&["FTP:2121", "daytime"], &[]).unwrap();
        assert_eq!([FTP, DAYTIME].map(|it| services.port(it)), [Some(2121), Some(13)]);
        assert_eq!([ECHO, DISCARD].map(|it| services.port(it)), [None, None]);
        let mut echo = Echo;
        assert_eq!(services.udp(ECHO, &mut echo).port, 0);
    }

    #[test]
    fn services_that_are_wrong() {
        let error = |wanted: &[&str]| services(wanted, &[]).unwrap_err();
        for (bad, name) in [("telnet", "telnet"), ("telnet:23", "telnet"), ("", ""), ("21", "21")] {
            let expected = format!("there is no service {name}: ftp, echo, discard, daytime");
            assert_eq!(error(&[bad]), expected);
        }
        for bad in ["echo:", "echo:0", "echo:65536", "echo:+7", "echo:7:7", "echo: 7"] {
            assert_eq!(error(&[bad]), "expected a port from 1 to 65535", "{bad}");
        }
        assert_eq!(error(&["echo", "ECHO:8"]), "--service: echo is given twice");
        assert_eq!(error(&["ftp:7", "echo"]), "--service: ftp and echo are both at port 7");
        assert_eq!(error(&["echo:5353"]), "--service: port 5353 is for the server's own use");
        let error = services(&["ftp", "echo:50000"], &[]).unwrap().avoid((49_152, 65_535));
        let expected = "--service: port 50000 is also in --passive-ports 49152-65535";
        assert_eq!(error.unwrap_err(), expected);
    }

    #[test]
    fn addresses_of_services() {
        let listen = ["192.0.2.1", "192.0.2.2:7", "[fd00::1]:21", "[fd00::2]", "fd00::3"];
        let services = services(&["ftp", "echo"], &listen).unwrap();
        let addresses = |offer| services.addresses(offer).iter().map(IpAddr::to_string);
        let of_ftp: Vec<_> = addresses(FTP).collect();
        assert_eq!(of_ftp, ["192.0.2.1", "fd00::1", "fd00::2", "fd00::3"]);
        let of_echo: Vec<_> = addresses(ECHO).collect();
        assert_eq!(of_echo, ["192.0.2.1", "192.0.2.2", "fd00::2", "fd00::3"]);
    }

    #[test]
    fn a_port_restricts_its_service_alone() {
        let services = services(&["ftp", "echo"], &["192.0.2.1:7"]).unwrap();
        assert_eq!(services.addresses(FTP), [] as [IpAddr; 0]);
        assert_eq!(services.addresses(ECHO).len(), 1);
    }

    #[test]
    fn places_that_are_wrong() {
        for bad in
            ["", "x", ":21", "192.0.2.1/24", "[192.0.2.1", "fd00::1:70000", "192.0.2.1:70000"]
        {
            let error = bad.parse::<Listen>().unwrap_err();
            assert!(error.starts_with("expected an own address"), "{bad}");
        }
        assert_eq!("192.0.2.1:0".parse::<Listen>(), Err("expected a port from 1 to 65535".into()));
        let own = |text: &[&str]| -> Vec<_> {
            text.iter().map(|text| network::address(text).unwrap()).collect()
        };
        let check = |listen: &str, addresses: &[&str]| {
            let services = services(&["ftp", "echo"], &[]).unwrap();
            let hardware = EthernetAddress([2, 0, 0, 0, 0, 1]);
            services.check(&[listen.parse().unwrap()], &own(addresses), hardware)
        };
        let both = ["192.0.2.1/24", "fd00::1/64"];
        for good in ["192.0.2.1", "192.0.2.1:7", "fd00::1", "[fd00::1]:21", "fe80::ff:fe00:1"] {
            assert_eq!(check(good, &both), Ok(()));
        }
        // Of the link there is one address: the one that is made of the hardware address, or given.
        assert!(check("fe80::1", &both).is_err() && check("fe80::1", &["auto"]).is_err());
        assert_eq!(check("fe80::1", &["fe80::1/64"]), Ok(()));
        assert!(check("fe80::ff:fe00:1", &["fe80::1/64"]).is_err());
        assert_eq!(
            check("192.0.2.2", &both).unwrap_err(),
            "--listen: 192.0.2.2 is none of our addresses: 192.0.2.1/24, fd00::1/64"
        );
        assert_eq!(
            check("192.0.2.1:9", &both).unwrap_err(),
            "--listen: no service is at port 9: ftp 21, echo 7"
        );
        assert_eq!(check("192.0.2.2", &["192.0.2.1/24", "dhcp"]), Ok(()));
        assert_eq!(check("fd00::2", &["auto"]), Ok(()));
        assert_eq!(check("192.0.2.2", &["auto"]), Ok(()));
        assert!(check("192.0.2.2", &["192.0.2.1/24", "auto"]).is_err());
    }
}
