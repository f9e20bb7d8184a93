//! One resource record: ours as it goes out, and theirs compared with it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::Class;
use domain::base::rdata::{ComposeRecordData, RecordData, UnknownRecordData};
use domain::base::wire::{Compose, Composer};
use domain::base::{ParsedName, ParsedRecord, Rtype, ToName};
use domain::dep::octseq::array::Array;
use domain::dep::octseq::builder::OctetsBuilder;
use domain::rdata::{Ptr, Srv};

use super::config::TEXT;

/// A name of ours, uncompressed.
pub type Name = domain::base::Name<Array<255>>;

/// The top bit of the class. In a record: forget what else you heard of this name and type
/// (RFC 6762, 10.2). In a question: an answer by unicast is welcome (5.4).
pub const TOP_BIT: u16 = 0x8000;

/// Whether a class is IN, whatever the top bit says.
pub fn is_internet(class: Class) -> bool {
    class.to_int() & !TOP_BIT == Class::IN.to_int()
}

/// A record of ours.
pub struct Record<'a> {
    pub name: Name,
    pub ttl: u32,
    pub data: Data<'a>,
}

impl Record<'_> {
    /// Whether a record of somebody else's is the same.
    pub fn is(&self, theirs: &ParsedRecord<'_, [u8]>) -> bool {
        self.data.rtype() == theirs.rtype()
            && is_internet(theirs.class())
            && self.name.name_eq(&theirs.owner())
            && self.key().zip(Key::of(theirs)).is_some_and(|(ours, theirs)| ours.says(&theirs))
    }

    /// What of it is compared with a record of somebody else's.
    pub fn key(&self) -> Option<Key> {
        let mut rdata = Array::default();
        self.data.compose_rdata(&mut rdata).ok()?;
        Some(Key { rtype: self.data.rtype(), rdata })
    }
}

/// What a record of ours says.
#[allow(clippy::large_enum_variant)] // There is never more than one at a time.
pub enum Data<'a> {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(Name),
    Srv { port: u16, target: Name },
    Txt(&'a [&'a str]),
    Nsec { name: Name, types: Types },
}

impl From<IpAddr> for Data<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

impl RecordData for Data<'_> {
    fn rtype(&self) -> Rtype {
        match self {
            Data::A(_) => Rtype::A,
            Data::Aaaa(_) => Rtype::AAAA,
            Data::Ptr(_) => Rtype::PTR,
            Data::Srv { .. } => Rtype::SRV,
            Data::Txt(_) => Rtype::TXT,
            Data::Nsec { .. } => Rtype::NSEC,
        }
    }
}

impl ComposeRecordData for Data<'_> {
    fn rdlen(&self, _: bool) -> Option<u16> {
        None
    }

    fn compose_rdata<T: Composer + ?Sized>(&self, target: &mut T) -> Result<(), T::AppendError> {
        match self {
            Data::A(address) => target.append_slice(&address.octets()),
            Data::Aaaa(address) => target.append_slice(&address.octets()),
            Data::Ptr(name) => target.append_compressed_name(name),
            // Its name is never compressed: who asks in the old way would not expect it (18.14).
            Data::Srv { port, target: name } => Srv::new(0, 0, *port, name).compose_rdata(target),
            Data::Txt(strings) => compose_strings(strings, target),
            Data::Nsec { name, types } => {
                target.append_compressed_name(name)?;
                types.compose(target)
            }
        }
    }

    fn compose_canonical_rdata<T: Composer + ?Sized>(
        &self,
        target: &mut T,
    ) -> Result<(), T::AppendError> {
        self.compose_rdata(target)
    }
}

/// Strings of at most 255 octets; an empty one if there is none (RFC 6763, 6.1).
fn compose_strings<T: Composer + ?Sized>(
    strings: &[&str],
    target: &mut T,
) -> Result<(), T::AppendError> {
    for string in strings {
        (string.len() as u8).compose(target)?;
        target.append_slice(string.as_bytes())?;
    }
    if strings.is_empty() { target.append_slice(&[0]) } else { Ok(()) }
}

/// Which types of records there are of a name, if all are below 64: the first bit is type 0.
#[derive(Clone, Copy, Default)]
pub struct Types(u64);

impl Types {
    /// Adds a type.
    pub fn with(self, rtype: Rtype) -> Self {
        Self(self.0 | (1 << 63) >> rtype.to_int())
    }

    /// As block 0 of the bit map, which is the only one (RFC 6762, 6.1; RFC 4034, 4.1.2).
    fn compose<T: Composer + ?Sized>(self, target: &mut T) -> Result<(), T::AppendError> {
        let octets = self.0.to_be_bytes();
        let len = octets.len() - self.0.trailing_zeros() as usize / 8;
        target.append_slice(&[0, len as u8])?;
        target.append_slice(&octets[..len])
    }
}

/// Type and data of a record, no name in it compressed. In this order two claims to a name are
/// compared (RFC 6762, 8.2); the class is always IN.
///
/// There is room for one octet more than is in any record of ours. Of a longer one, that is
/// enough to see that it is another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    rtype: Rtype,
    rdata: Array<KEY>,
}

/// The longest data of ours is a SRV record with the longest name, or the longest text.
const KEY: usize = if TEXT > 6 + 255 { TEXT + 1 } else { 6 + 255 + 1 };

impl Key {
    /// That of a record of somebody else's; `None` if the record is malformed.
    pub fn of(theirs: &ParsedRecord<'_, [u8]>) -> Option<Self> {
        let mut rdata = Array::default();
        match theirs.rtype() {
            Rtype::PTR => {
                let record = theirs.to_record::<Ptr<ParsedName<_>>>().ok()??;
                record.data().compose_rdata(&mut rdata).ok()?;
            }
            Rtype::SRV => {
                let record = theirs.to_record::<Srv<ParsedName<_>>>().ok()??;
                record.data().compose_rdata(&mut rdata).ok()?;
            }
            _ => {
                let record = theirs.to_record::<UnknownRecordData<_>>().ok()??;
                let octets: &[u8] = record.data().data();
                rdata.append_slice(&octets[..octets.len().min(KEY)]).ok()?;
            }
        }
        Some(Self { rtype: theirs.rtype(), rdata })
    }

    /// Whether both say the same. The case of letters in a name does not matter.
    fn says(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.rdata.as_slice(), other.rdata.as_slice());
        let name_at = match self.rtype {
            Rtype::PTR => 0,
            Rtype::SRV => 6,
            _ => ours.len(),
        };
        let split = ours.split_at_checked(name_at).zip(theirs.split_at_checked(name_at));
        split.is_some_and(|((ours, our_name), (theirs, their_name))| {
            ours == theirs && our_name.eq_ignore_ascii_case(their_name)
        })
    }
}
