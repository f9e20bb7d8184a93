//! What there is of addresses with IPv6 only: the one of the link, those of routers' prefixes, and
//! the groups that go with all of them.

use smoltcp::config::IFACE_MAX_ADDR_COUNT;
use smoltcp::phy::Device;
use smoltcp::wire::{IpCidr, Ipv6Address, Ipv6Cidr};

use super::claim::{Origin, Own};
use super::heard::Advertisement;
use super::plan::link_local;
use super::slaac::{self, Routers};
use super::{Addressing, Packet, packet};
use crate::net::instant;
use crate::time::{Duration, Instant};

impl Addressing<'_> {
    pub(super) fn begin_ipv6(&mut self, now: Instant) {
        if self.plan.routers {
            self.routers = Some(Routers::new(now, &mut self.random));
        }
        if self.plan.ipv6_link_local {
            let address = link_local(self.hardware);
            self.claim(Ipv6Cidr::new(address, 64).into(), Origin::LinkLocal, now);
        }
    }

    pub(super) fn hear_router(&mut self, advertisement: &Advertisement, now: Instant) {
        let Some(routers) = &mut self.routers else { return };
        routers.hear(advertisement, now);
        self.due = Some(now);
        for prefix in &advertisement.prefixes {
            if let Some((cidr, valid)) = slaac::address(prefix, self.hardware) {
                self.hear_prefix(cidr, valid, now);
            }
        }
    }

    /// RFC 4862 section 5.5.3 d and e.
    fn hear_prefix(&mut self, cidr: IpCidr, valid: Duration, now: Instant) {
        if let Some(own) = self.own.iter_mut().find(|own| own.address() == cidr.address()) {
            if let (Origin::Prefix, Some(until)) = (own.origin, own.until) {
                own.until = Some(slaac::renewed(until, valid, now));
            }
            return;
        }
        let has_room = self.own.len() + self.awaited() < IFACE_MAX_ADDR_COUNT;
        if has_room
            && !valid.is_zero()
            && let Some(own) = self.claim(cidr, Origin::Prefix, now)
        {
            own.until = Some(now + valid);
        }
    }

    /// Addresses for which there must be room, although they are not here.
    fn awaited(&self) -> usize {
        let has_one = self.own.iter().any(|own| own.is_v4() && own.origin != Origin::Fixed);
        usize::from(self.plan.has_ipv4() && !has_one)
    }

    /// Says which groups we are in, if there is news of it.
    pub(super) fn send_groups<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        now: Instant,
    ) -> Option<()> {
        let source = self.speaker();
        let ours = self.own.iter().filter(|own| own.is_ours());
        self.groups.follow(ours.filter_map(Own::ipv6), now);
        self.groups.speak_from(source, now);
        if self.groups.due().is_some_and(|due| due <= now) {
            let token = device.transmit(instant(now))?;
            let records = self.groups.report(now, &mut self.random);
            packet::report(&records, source, self.hardware, token);
        }
        Some(())
    }

    /// Asks for routers, if it is time.
    pub(super) fn send_solicitation<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        now: Instant,
    ) -> Option<()> {
        let source = self.speaker();
        if let Some(routers) = &mut self.routers
            && routers.asks(now)
        {
            let token = device.transmit(instant(now))?;
            routers.asked(now);
            Packet::RouterSolicit { source }.send(self.hardware, token);
        }
        Some(())
    }

    /// The address from which to speak to the link, if there is one yet.
    fn speaker(&self) -> Option<Ipv6Address> {
        self.own.iter().filter(|own| own.is_usable()).find_map(Own::ipv6_link_local)
    }
}
