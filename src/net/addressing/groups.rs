//! Which IPv6 multicast groups we are in: told to the switches of the link, which may else keep
//! their frames from us (RFC 3810, RFC 4541 section 3).
//!
//! IPv4 has nothing of the kind here: the one group that a service asks for, 224.0.0.251, is of
//! those that every switch forwards to everybody (RFC 4541 section 2.1.2).

use core::net::IpAddr;

use smoltcp::config::IFACE_MAX_ADDR_COUNT;
use smoltcp::wire::{IPV6_LINK_LOCAL_ALL_NODES, Ipv6Address, MldAddressRecordRepr, MldRecordType};

use super::packet;
use crate::net::secret::Secret;
use crate::time::{Duration, Instant};

/// Groups that services may want.
const WANTED_MAX: usize = 4;
/// All groups: there is one at most for each address.
const GROUPS_MAX: usize = WANTED_MAX + IFACE_MAX_ADDR_COUNT;
/// Groups that are left at about the same time; of more than these a router finds out by itself.
const LEFT_MAX: usize = IFACE_MAX_ADDR_COUNT;
/// The most that a report has to tell.
const RECORDS_MAX: usize = GROUPS_MAX + LEFT_MAX;
/// RFC 3810 section 9.1: how often a change is told.
const ROBUSTNESS: u8 = 2;
/// RFC 3810 section 9.11: within which time it is told again.
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// No more than one report in this time, however often we are asked.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The groups that we are in.
#[derive(Debug, Default)]
pub struct Groups {
    wanted: heapless::Vec<Ipv6Address, WANTED_MAX>,
    joined: heapless::Vec<Ipv6Address, GROUPS_MAX>,
    /// Those that we were in, which is still to be told.
    left: heapless::Vec<Ipv6Address, LEFT_MAX>,
    /// Whether reports come from an address that routers listen to.
    has_source: bool,
    /// How often it is still to be told that there are others than before.
    changes: u8,
    due: Option<Instant>,
    reported: Option<Instant>,
}

impl Groups {
    /// Services want the datagrams of this group.
    pub fn want(&mut self, group: IpAddr) {
        if let IpAddr::V6(group) = group
            && group != IPV6_LINK_LOCAL_ALL_NODES
            && !self.wanted.contains(&group)
        {
            // A group too many is received where switches forward everything.
            let _ = self.wanted.push(group);
        }
    }

    /// Joins the groups that go with our addresses, before neighbors are asked about those
    /// (RFC 4862 section 5.4.2), and leaves those of addresses that are gone.
    pub fn follow(&mut self, addresses: impl Iterator<Item = Ipv6Address>, now: Instant) {
        let mut groups = heapless::Vec::<_, GROUPS_MAX>::new();
        let mut join = |group| {
            if !groups.contains(&group) {
                let _ = groups.push(group);
            }
        };
        let mut addresses = addresses.peekable();
        let has_ipv6 = addresses.peek().is_some();
        addresses.map(packet::solicited_node).for_each(&mut join);
        if has_ipv6 {
            self.wanted.iter().copied().for_each(&mut join);
        }
        let is_same = |group: &Ipv6Address| self.joined.contains(group);
        if groups.len() != self.joined.len() || !groups.iter().all(is_same) {
            self.left.retain(|group| !groups.contains(group));
            let left = self.joined.iter().filter(|group| !groups.contains(group)).copied();
            self.left.extend(left.take(LEFT_MAX - self.left.len()));
            self.joined = groups;
            self.tell(ROBUSTNESS, now);
        }
    }

    /// Whether there is an address of the link to report from. Routers do not listen to reports
    /// from nowhere, so that everything is told again when there is one (RFC 3590 section 4).
    pub fn speak_from(&mut self, source: Option<Ipv6Address>, now: Instant) {
        if source.is_some() && !self.has_source && !self.joined.is_empty() {
            self.tell(1, now);
        }
        self.has_source = source.is_some();
    }

    /// That there are others than before, so many times at least.
    fn tell(&mut self, times: u8, now: Instant) {
        self.changes = self.changes.max(times);
        self.due = Some(now);
    }

    /// Somebody wants to know our groups, within this time.
    pub fn query(&mut self, within: Duration, now: Instant, random: &mut Secret) {
        let earliest = self.reported.map_or(now, |last| last + REPORT_INTERVAL);
        let due = (now + random.within(within)).max(earliest);
        self.due = Some(self.due.map_or(due, |planned| planned.min(due)));
    }

    /// When there is something to tell.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be told now.
    pub fn report(
        &mut self,
        now: Instant,
        random: &mut Secret,
    ) -> heapless::Vec<MldAddressRecordRepr<'static>, RECORDS_MAX> {
        let kind = match self.changes {
            0 => MldRecordType::ModeIsExclude,
            _ => MldRecordType::ChangeToExclude,
        };
        self.changes = self.changes.saturating_sub(1);
        self.due = (self.changes > 0).then(|| now + random.within(UNSOLICITED_REPORT_INTERVAL));
        self.reported = Some(now);
        let record = |kind| move |&group: &Ipv6Address| MldAddressRecordRepr::new(kind, group);
        let left = self.left.iter().map(record(MldRecordType::ChangeToInclude));
        let records = self.joined.iter().map(record(kind)).chain(left).collect();
        if self.changes == 0 {
            self.left.clear();
        }
        records
    }
}
