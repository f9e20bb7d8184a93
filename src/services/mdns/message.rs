//! Messages: what is read of those that come, and those that we send.

use domain::base::iana::Class;
use domain::base::message_builder::RecordSectionBuilder;
use domain::base::name::ParsedName;
use domain::base::wire::Composer;
use domain::base::{MessageBuilder, ParsedRecord, Question, Rtype, StaticCompressor, Ttl};
use domain::dep::octseq::builder::{OctetsBuilder, ShortBuf, Truncate};

use super::record::TOP_BIT;
use super::rrset::Rrsets;
use super::zone::Zone;

/// A message that came.
pub type Message = domain::base::Message<[u8]>;

/// Questions and records that are looked at in a message: more than anybody sends in earnest.
const QUESTIONS: usize = 32;
const RECORDS: usize = 64;

/// Seconds for which a querier that knows nothing of mDNS may keep what we say (RFC 6762, 6.7).
const LEGACY_TTL: u32 = 10;

/// The questions of a message, as far as they can be read.
pub fn questions(message: &Message) -> impl Iterator<Item = Question<ParsedName<&[u8]>>> {
    message.question().take(QUESTIONS).map_while(Result::ok)
}

/// The records of its answer section.
pub fn answers(message: &Message) -> impl Iterator<Item = ParsedRecord<'_, [u8]>> {
    message.answer().into_iter().flatten().take(RECORDS).map_while(Result::ok)
}

/// The records of its authority section.
pub fn authority(message: &Message) -> impl Iterator<Item = ParsedRecord<'_, [u8]>> {
    message.authority().into_iter().flatten().take(RECORDS).map_while(Result::ok)
}

/// The records of all its sections.
pub fn records(message: &Message) -> impl Iterator<Item = ParsedRecord<'_, [u8]>> {
    message.iter().take(RECORDS).map_while(Result::ok).map(|(record, _)| record)
}

/// Whom a response is for.
#[derive(Clone, Copy)]
pub enum Audience<'m> {
    /// Whoever speaks mDNS.
    Peers,
    /// The same, to whom we say goodbye (RFC 6762, 10.1).
    Goodbye,
    /// Who sent this query from another port than 5353 (6.7).
    Legacy(&'m Message),
}

impl Audience<'_> {
    fn ttl(self, ttl: u32) -> Ttl {
        Ttl::from_secs(match self {
            Audience::Peers => ttl,
            Audience::Goodbye => 0,
            Audience::Legacy(_) => ttl.min(LEGACY_TTL),
        })
    }

    fn class(self, is_shared: bool) -> Class {
        match self {
            Audience::Peers | Audience::Goodbye if !is_shared => flagged(Class::IN),
            _ => Class::IN,
        }
    }
}

fn flagged(class: Class) -> Class {
    Class::from_int(class.to_int() | TOP_BIT)
}

/// A response that was written.
pub struct Written {
    /// Octets of it.
    pub len: usize,
    /// Which of the answers there was room for.
    pub answers: Rrsets,
    /// Which of the additional records there was room for.
    pub additional: Rrsets,
}

/// Writes a response.
pub fn response(
    zone: &Zone<'_>,
    audience: Audience<'_>,
    answers: Rrsets,
    additional: Rrsets,
    message: &mut [u8],
) -> Option<Written> {
    let mut builder = begin(message)?;
    builder.header_mut().set_qr(true);
    builder.header_mut().set_aa(true); // 18.4
    let mut questions = builder.question();
    if let Audience::Legacy(query) = audience {
        questions.header_mut().set_id(query.header().id());
        for question in self::questions(query) {
            questions.push(question).ok()?;
        }
    }
    let mut section = questions.answer();
    let answers = append(&mut section, zone, audience, answers);
    let mut section = section.additional();
    let additional = append(&mut section, zone, audience, additional);
    Some(Written { len: section.finish().into_target().len, answers, additional })
}

/// Writes a probe: whether anybody has our names, and what we would say of them (8.1, 8.2).
pub fn probe(zone: &Zone<'_>, message: &mut [u8]) -> Option<usize> {
    let mut questions = begin(message)?.question();
    for owner in zone.claimed() {
        questions.push((zone.name(owner)?, Rtype::ANY, flagged(Class::IN))).ok()?;
    }
    let mut section = questions.authority();
    for owner in zone.claimed() {
        for record in zone.records(zone.at(owner)) {
            let ttl = Ttl::from_secs(record.ttl);
            // What there is no room for counts only if two hosts want a name at once.
            let _ = section.push((record.name, Class::IN, ttl, record.data));
        }
    }
    Some(section.finish().into_target().len)
}

fn begin(message: &mut [u8]) -> Option<MessageBuilder<Target<'_>>> {
    MessageBuilder::from_target(StaticCompressor::new(Octets { octets: message, len: 0 })).ok()
}

/// Appends what there is room for; says what that was.
fn append<'m>(
    section: &mut impl RecordSectionBuilder<Target<'m>>,
    zone: &Zone<'_>,
    audience: Audience<'_>,
    rrsets: Rrsets,
) -> Rrsets {
    rrsets.filter(|&rrset| {
        zone.records_of(rrset).all(|record| {
            let (class, ttl) = (audience.class(rrset.is_shared()), audience.ttl(record.ttl));
            section.push((record.name, class, ttl, record.data)).is_ok()
        })
    })
}

type Target<'a> = StaticCompressor<Octets<'a>>;

/// Octets that fill up.
struct Octets<'a> {
    octets: &'a mut [u8],
    len: usize,
}

impl OctetsBuilder for Octets<'_> {
    type AppendError = ShortBuf;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), ShortBuf> {
        let free = self.octets.get_mut(self.len..).unwrap_or_default();
        free.get_mut(..slice.len()).ok_or(ShortBuf)?.copy_from_slice(slice);
        self.len += slice.len();
        Ok(())
    }
}

impl Truncate for Octets<'_> {
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl AsRef<[u8]> for Octets<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl AsMut<[u8]> for Octets<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.octets[..self.len]
    }
}

impl Composer for Octets<'_> {}
