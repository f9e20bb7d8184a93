//! Sets of our records, one bit for each RRset: all that is remembered of what is to be sent.

use super::config::{ADDRESSES, SERVICES};

/// RRsets of the host, before those of its services.
const OF_HOST: usize = 4;
/// RRsets of each service.
const OF_SERVICE: usize = 5;
/// Where those of the addresses begin.
const REVERSE: usize = OF_HOST + OF_SERVICE * SERVICES;
/// How many RRsets there may be.
pub const RRSETS: usize = REVERSE + ADDRESSES;

const _: () = assert!(RRSETS <= 64, "there is a bit for each");

/// Records of ours that are sent together. Services and addresses go by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rrset {
    /// A of the host.
    Ipv4,
    /// AAAA of the host.
    Ipv6,
    /// A and AAAA that the host has no longer.
    Gone,
    /// NSEC of the host.
    HostTypes,
    /// PTR from the kind of a service to the instance.
    Pointer(usize),
    /// TXT of the instance. Before SRV, for in the order of types two claims are compared.
    Text(usize),
    /// SRV of the instance.
    Server(usize),
    /// NSEC of the instance.
    InstanceTypes(usize),
    /// PTR from the list of all kinds to this one.
    Kind(usize),
    /// PTR from an address to the host. The last, for its long name fills the table with which
    /// names are compressed.
    Reverse(usize),
}

impl Rrset {
    /// Whether other hosts may have records of the same name and type.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Pointer(_) | Self::Kind(_))
    }

    /// Its number, from 0 to [`RRSETS`].
    pub fn index(self) -> usize {
        let of_service = |service, nth| OF_HOST + OF_SERVICE * service + nth;
        match self {
            Self::Ipv4 => 0,
            Self::Ipv6 => 1,
            Self::Gone => 2,
            Self::HostTypes => 3,
            Self::Pointer(service) => of_service(service, 0),
            Self::Text(service) => of_service(service, 1),
            Self::Server(service) => of_service(service, 2),
            Self::InstanceTypes(service) => of_service(service, 3),
            Self::Kind(service) => of_service(service, 4),
            Self::Reverse(address) => REVERSE + address,
        }
    }

    fn from_index(index: usize) -> Self {
        match index {
            0 => Self::Ipv4,
            1 => Self::Ipv6,
            2 => Self::Gone,
            3 => Self::HostTypes,
            REVERSE.. => Self::Reverse(index - REVERSE),
            _ => {
                let service = (index - OF_HOST) / OF_SERVICE;
                match (index - OF_HOST) % OF_SERVICE {
                    0 => Self::Pointer(service),
                    1 => Self::Text(service),
                    2 => Self::Server(service),
                    3 => Self::InstanceTypes(service),
                    _ => Self::Kind(service),
                }
            }
        }
    }
}

/// A set of RRsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rrsets(u64);

impl Rrsets {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether it is the empty set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the RRset is in it.
    pub fn contains(self, rrset: Rrset) -> bool {
        self.0 >> rrset.index() & 1 == 1
    }

    /// Those of both.
    pub fn union(self, other: impl Into<Self>) -> Self {
        Self(self.0 | other.into().0)
    }

    /// Those that are not in `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those for which `wanted` is true.
    pub fn filter(self, wanted: impl FnMut(&Rrset) -> bool) -> Self {
        self.iter().filter(wanted).collect()
    }

    /// One after the other, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Rrset> {
        (0..RRSETS).map(Rrset::from_index).filter(move |&rrset| self.contains(rrset))
    }
}

impl<const N: usize> From<[Rrset; N]> for Rrsets {
    fn from(rrsets: [Rrset; N]) -> Self {
        rrsets.into_iter().collect()
    }
}

impl FromIterator<Rrset> for Rrsets {
    fn from_iter<I: IntoIterator<Item = Rrset>>(rrsets: I) -> Self {
        Self(rrsets.into_iter().fold(0, |set, rrset| set | 1 << rrset.index()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_bit() {
        for index in 0..RRSETS {
            assert_eq!(Rrset::from_index(index).index(), index);
        }
        assert_eq!(Rrsets(u64::MAX).iter().count(), RRSETS);
    }
}
