//! What we have to say: our names, and the records of each.

use core::fmt::Write;
use core::iter;
use core::net::IpAddr;
use core::ops::Range;

use domain::base::rdata::RecordData;
use domain::base::{NameBuilder, Rtype, ToName};
use domain::dep::octseq::array::Array;
use heapless::{String, Vec};

use super::config::{ADDRESSES, Config, LABEL};
use super::record::{Data, Name, Record, Types};
use super::rrset::{Rrset, Rrsets};

/// Seconds for which a record with the host's name in it may be kept (RFC 6762, 10).
const HOST_TTL: u32 = 120;
/// Seconds for which any other may be kept.
const OTHER_TTL: u32 = 75 * 60;

/// A name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `tinyftp.local`
    Host,
    /// `tinyftp._ftp._tcp.local`
    Instance(usize),
    /// `_ftp._tcp.local`
    Kind(usize),
    /// `_services._dns-sd._udp.local`: the kinds of services that there are (RFC 6763, 9).
    Kinds,
    /// `1.69.168.192.in-addr.arpa`
    Reverse(usize),
}

/// Our names and their records.
pub struct Zone<'a> {
    config: Config<'a>,
    /// The first label of our names: the host's, with a number if others have it too.
    label: String<LABEL>,
    number: u32,
    /// In the order in which records are compared.
    addresses: Vec<IpAddr, ADDRESSES>,
    /// Addresses that were announced and are ours no longer.
    gone: Vec<IpAddr, ADDRESSES>,
}

impl<'a> Zone<'a> {
    /// The zone of a configuration that is valid.
    pub fn new(config: Config<'a>) -> Self {
        let label = config.hostname.try_into().unwrap_or_default();
        Self { config, label, number: 1, addresses: Vec::new(), gone: Vec::new() }
    }

    /// The first label of our names.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Takes the next name: after `tinyftp` comes `tinyftp-2`, then `tinyftp-3`. Returns the
    /// old one.
    pub fn rename(&mut self) -> String<LABEL> {
        let old = self.label.clone();
        self.number = self.number.checked_add(1).unwrap_or(2);
        let mut suffix = String::<11>::new();
        let _ = write!(suffix, "-{}", self.number);
        let kept = self.config.hostname.len().min(LABEL - suffix.len());
        self.label.clear();
        let _ = self.label.push_str(self.config.hostname.get(..kept).unwrap_or_default());
        let _ = self.label.push_str(&suffix);
        self.gone.clear();
        old
    }

    /// The addresses that we have.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Takes our addresses; says whether they are others than before.
    pub fn set_addresses(&mut self, addresses: &[IpAddr]) -> bool {
        let mut new: Vec<IpAddr, ADDRESSES> = addresses.iter().copied().take(ADDRESSES).collect();
        new.sort_unstable();
        if new == self.addresses {
            return false;
        }
        let old = self.told().chain(self.gone.iter().copied());
        let old: Vec<IpAddr, { 2 * ADDRESSES }> = old.collect();
        self.addresses = new;
        let is_gone = |old: &IpAddr| self.told().all(|told| told != *old);
        self.gone = old.into_iter().filter(is_gone).take(ADDRESSES).collect();
        true
    }

    /// The addresses that the name stands for. An IPv6 address of the link says nothing without
    /// its zone, for which a record has no place, and a client such as curl cannot open a
    /// data connection then: it is told only if there is no other.
    fn told(&self) -> impl Iterator<Item = IpAddr> {
        let is_alone = self.addresses.iter().all(needs_zone);
        self.addresses.iter().filter(move |address| is_alone || !needs_zone(address)).copied()
    }

    /// Forgets which addresses were ours before.
    pub fn forget_gone(&mut self) {
        self.gone.clear();
    }

    /// Whether we have addresses of IPv4, and of IPv6.
    pub fn versions(&self) -> [bool; 2] {
        [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|is_of| self.addresses.iter().any(is_of))
    }

    /// The names that must be ours alone.
    pub fn claimed(&self) -> impl Iterator<Item = Owner> {
        iter::once(Owner::Host).chain(self.services().map(Owner::Instance))
    }

    /// Which of our names this is.
    pub fn owner(&self, name: &impl ToName) -> Option<Owner> {
        self.claimed()
            .chain(self.services().map(Owner::Kind))
            .chain(iter::once(Owner::Kinds))
            .chain((0..self.addresses.len()).map(Owner::Reverse))
            .find(|&owner| self.name(owner).is_some_and(|ours| ours.name_eq(name)))
    }

    /// All that is announced.
    pub fn all(&self) -> Rrsets {
        use Rrset::{Gone, Ipv4, Ipv6, Kind, Pointer, Reverse, Server, Text};
        let services =
            self.services().flat_map(|n| [Pointer(n), Text(n), Server(n), Kind(n)].into_iter());
        let reverse = (0..self.addresses.len()).map(Reverse);
        self.of_type(Rtype::ANY, [Ipv4, Ipv6, Gone].into_iter().chain(services).chain(reverse))
    }

    /// What answers a question for records of a type. Of a name that is ours alone, that there
    /// are none is an answer too (RFC 6762, 6.1).
    pub fn asked(&self, owner: Owner, rtype: Rtype) -> Rrsets {
        let found = self.of_type(rtype, self.at(owner).iter());
        match owner {
            Owner::Host if found.is_empty() => [Rrset::HostTypes].into(),
            Owner::Instance(service) if found.is_empty() => [Rrset::InstanceTypes(service)].into(),
            _ => found,
        }
    }

    /// All that there may be of a name.
    pub fn at(&self, owner: Owner) -> Rrsets {
        match owner {
            Owner::Host => [Rrset::Ipv4, Rrset::Ipv6].into(),
            Owner::Instance(service) => [Rrset::Text(service), Rrset::Server(service)].into(),
            Owner::Kind(service) => [Rrset::Pointer(service)].into(),
            Owner::Kinds => self.services().map(Rrset::Kind).collect(),
            Owner::Reverse(address) => [Rrset::Reverse(address)].into(),
        }
    }

    /// What whoever hears these answers will want to know next (RFC 6762, 6.1; RFC 6763, 12).
    pub fn additional(&self, answers: Rrsets) -> Rrsets {
        use Rrset::{HostTypes, Ipv4, Ipv6, Pointer, Server, Text};
        let mut more = Rrsets::NONE;
        for rrset in answers.iter() {
            if let Pointer(service) = rrset {
                more = more.union([Text(service), Server(service)]);
            }
            if matches!(rrset, Pointer(_) | Server(_) | Ipv4 | Ipv6) {
                more = more.union(self.of_type(Rtype::ANY, [Ipv4, Ipv6]));
                let is_missing = |rrset| self.record(rrset, 0).is_none();
                if is_missing(Ipv4) || is_missing(Ipv6) {
                    more = more.union([HostTypes]);
                }
            }
        }
        more.without(answers)
    }

    /// The records of several RRsets.
    pub fn records(&self, rrsets: Rrsets) -> impl Iterator<Item = Record<'a>> {
        rrsets.iter().flat_map(|rrset| self.records_of(rrset))
    }

    /// The records of an RRset.
    pub fn records_of(&self, rrset: Rrset) -> impl Iterator<Item = Record<'a>> {
        (0..ADDRESSES).map_while(move |nth| self.record(rrset, nth))
    }

    /// Spells a name.
    pub fn name(&self, owner: Owner) -> Option<Name> {
        let mut name = NameBuilder::<Array<255>>::new();
        match owner {
            Owner::Host => name.append_label(self.label.as_bytes()).ok()?,
            Owner::Instance(service) => {
                name.append_label(self.label.as_bytes()).ok()?;
                append_labels(&mut name, self.config.services.get(service)?.kind)?;
            }
            Owner::Kind(service) => {
                append_labels(&mut name, self.config.services.get(service)?.kind)?
            }
            Owner::Kinds => append_labels(&mut name, "_services._dns-sd._udp")?,
            Owner::Reverse(n) => return Name::reverse_from_addr(*self.addresses.get(n)?).ok(),
        }
        name.append_label(b"local").ok()?;
        name.into_name().ok()
    }

    fn services(&self) -> Range<usize> {
        0..self.config.services.len()
    }

    /// Those that there are, and of this type.
    fn of_type(&self, rtype: Rtype, rrsets: impl IntoIterator<Item = Rrset>) -> Rrsets {
        let is_asked = |record: Record<'_>| rtype == Rtype::ANY || rtype == record.data.rtype();
        rrsets.into_iter().filter(|&rrset| self.record(rrset, 0).is_some_and(is_asked)).collect()
    }

    fn record(&self, rrset: Rrset, nth: usize) -> Option<Record<'a>> {
        use Owner::{Host, Instance, Kind, Kinds, Reverse};
        let (owner, ttl, data) = match rrset {
            Rrset::Ipv4 => (Host, HOST_TTL, self.address(nth, IpAddr::is_ipv4)?),
            Rrset::Ipv6 => (Host, HOST_TTL, self.address(nth, IpAddr::is_ipv6)?),
            Rrset::Gone => (Host, 0, Data::from(*self.gone.get(nth)?)),
            _ if nth > 0 => return None,
            Rrset::HostTypes => (Host, HOST_TTL, self.types(Host)?),
            Rrset::Pointer(n) => (Kind(n), OTHER_TTL, Data::Ptr(self.name(Instance(n))?)),
            Rrset::Text(n) => (Instance(n), OTHER_TTL, Data::Txt(self.config.services.get(n)?.txt)),
            Rrset::Server(n) => (Instance(n), HOST_TTL, self.server(n)?),
            Rrset::InstanceTypes(n) => (Instance(n), HOST_TTL, self.types(Instance(n))?),
            Rrset::Kind(n) => (Kinds, OTHER_TTL, Data::Ptr(self.name(Kind(n))?)),
            Rrset::Reverse(n) => (Reverse(n), HOST_TTL, Data::Ptr(self.name(Host)?)),
        };
        Some(Record { name: self.name(owner)?, ttl, data })
    }

    fn address(&self, nth: usize, is_wanted: fn(&IpAddr) -> bool) -> Option<Data<'a>> {
        self.told().filter(is_wanted).nth(nth).map(Data::from)
    }

    fn server(&self, service: usize) -> Option<Data<'a>> {
        let port = self.config.services.get(service)?.port;
        Some(Data::Srv { port, target: self.name(Owner::Host)? })
    }

    fn types(&self, owner: Owner) -> Option<Data<'a>> {
        let records = self.records(self.at(owner));
        let types = records.fold(Types::default(), |types, record| types.with(record.data.rtype()));
        Some(Data::Nsec { name: self.name(owner)?, types })
    }
}

/// RFC 4007 section 6.
fn needs_zone(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn append_labels(name: &mut NameBuilder<Array<255>>, labels: &str) -> Option<()> {
    labels.split('.').try_for_each(|label| name.append_label(label.as_bytes())).ok()
}
