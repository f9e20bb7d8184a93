//! How our names become ours: probing, announcing, and whose name it is if two want it.

use core::cmp::Ordering;

use domain::base::{ParsedRecord, Rtype, ToName, Ttl};

use super::message::{self, Message};
use super::random::Random;
use super::record::{Key, is_internet};
use super::zone::{Owner, Zone};
use crate::time::{Duration, Instant};

/// Probes that go unanswered before a name is ours (RFC 6762, 8.1), and the time between them.
const PROBES: u8 = 3;
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// Announcements of a name (8.3), and the time between them.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(1);
/// What a host waits whose claim came second (8.2).
const DEFERENCE: Duration = Duration::from_secs(1);
/// So many conflicts in ten seconds, and a host waits before each further probe (8.1). Here all
/// count that follow each other within that time: their number is bounded whenever they come.
const CONFLICTS: u8 = 15;
const QUIET: Duration = Duration::from_secs(10);
const PENALTY: Duration = Duration::from_secs(5);

/// How far our claim to our names has come.
pub struct Claim {
    phase: Phase,
    /// When the next step is due.
    due: Instant,
    conflicts: u8,
    last_conflict: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// We have no address, or have left.
    Silent,
    /// So many probes were sent.
    Probing(u8),
    /// The names are ours; so many announcements were sent.
    Announcing(u8),
    /// Everybody knows.
    Settled,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A probe.
    Probe,
    /// The first announcement: the names are ours now.
    Claimed,
    /// A further announcement.
    Announce,
}

impl Claim {
    /// No claim yet.
    pub const fn new() -> Self {
        let (due, last_conflict) = (Instant::ZERO, Instant::ZERO);
        Self { phase: Phase::Silent, due, conflicts: 0, last_conflict }
    }

    /// Gives the names up.
    pub fn end(&mut self) {
        self.phase = Phase::Silent;
    }

    /// Whether probes are under way.
    pub fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing(_))
    }

    /// Whether a probe was sent, so that somebody can have objected. What came before it
    /// "MUST be silently ignored" (8.1).
    pub fn has_probed(&self) -> bool {
        matches!(self.phase, Phase::Probing(1..))
    }

    /// Whether the names are ours.
    pub fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Announcing(_) | Phase::Settled)
    }

    /// Begins to probe, after a short while (8.1).
    pub fn probe(&mut self, random: &mut Random, now: Instant) {
        self.phase = Phase::Probing(0);
        self.due = now + random.between(0, 250);
    }

    /// Announces anew what is ours already (8.4).
    pub fn announce(&mut self, now: Instant) {
        self.phase = Phase::Announcing(0);
        self.due = now;
    }

    /// Begins to probe again after a conflict: later, if there are too many of them.
    pub fn conflict(&mut self, random: &mut Random, now: Instant) {
        if now.since(self.last_conflict) > QUIET {
            self.conflicts = 0;
        }
        self.conflicts = self.conflicts.saturating_add(1);
        self.last_conflict = now;
        self.probe(random, now);
        if self.conflicts >= CONFLICTS {
            self.due = now + PENALTY;
        }
    }

    /// Begins to probe again after somebody else had the time to.
    pub fn defer(&mut self, now: Instant) {
        self.phase = Phase::Probing(0);
        self.due = now + DEFERENCE;
    }

    /// The step that is due now.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        if now < self.due {
            return None;
        }
        let (phase, interval, step) = match self.phase {
            Phase::Silent | Phase::Settled => return None,
            Phase::Probing(sent) if sent < PROBES => {
                (Phase::Probing(sent + 1), PROBE_INTERVAL, Step::Probe)
            }
            Phase::Probing(_) => (Phase::Announcing(1), ANNOUNCEMENT_INTERVAL, Step::Claimed),
            Phase::Announcing(sent) if sent + 1 < ANNOUNCEMENTS => {
                (Phase::Announcing(sent + 1), ANNOUNCEMENT_INTERVAL, Step::Announce)
            }
            Phase::Announcing(_) => (Phase::Settled, Duration::ZERO, Step::Announce),
        };
        (self.phase, self.due) = (phase, now + interval);
        Some(step)
    }

    /// When the next step is due.
    pub fn wake(&self) -> Option<Instant> {
        match self.phase {
            Phase::Silent | Phase::Settled => None,
            Phase::Probing(_) | Phase::Announcing(_) => Some(self.due),
        }
    }
}

/// Whether a response to our probes says of one of our names what we do not.
pub fn is_refused(zone: &Zone<'_>, response: &Message) -> bool {
    // That of some types there is nothing is said by who says more of the name.
    message::records(response).any(|theirs| theirs.rtype() != Rtype::NSEC && denies(zone, &theirs))
}

/// Whether a response says of one of our names, with records of the types that we have, what we
/// do not (RFC 6762, 9).
pub fn is_disputed(zone: &Zone<'_>, response: &Message) -> bool {
    const TYPES: [Rtype; 4] = [Rtype::A, Rtype::AAAA, Rtype::TXT, Rtype::SRV];
    message::records(response)
        .any(|theirs| TYPES.contains(&theirs.rtype()) && denies(zone, &theirs))
}

fn denies(zone: &Zone<'_>, theirs: &ParsedRecord<'_, [u8]>) -> bool {
    let is_alive = is_internet(theirs.class()) && theirs.ttl() != Ttl::ZERO;
    is_alive
        && zone.claimed().any(|owner| {
            zone.name(owner).is_some_and(|name| name.name_eq(&theirs.owner()))
                && !zone.records(zone.at(owner)).any(|ours| ours.is(theirs))
        })
}

/// Whether somebody else's claim to one of the names goes before ours (RFC 6762, 8.2): that is
/// so if what we say of the name comes first in order.
pub fn is_outdone(zone: &Zone<'_>, probe: &Message) -> bool {
    zone.claimed().any(|owner| compare(zone, owner, probe) == Some(Ordering::Less))
}

/// Compares what we say of a name with what they say, record for record in order (8.2.1);
/// `None` if they say nothing of it.
fn compare(zone: &Zone<'_>, owner: Owner, probe: &Message) -> Option<Ordering> {
    let name = zone.name(owner)?;
    let theirs_after = |last: Option<&Key>| {
        message::authority(probe)
            .filter(|record| is_internet(record.class()) && name.name_eq(&record.owner()))
            .filter_map(|record| Key::of(&record))
            .filter(|key| last.is_none_or(|last| key > last))
            .min()
    };
    let mut theirs = Some(theirs_after(None)?);
    for ours in zone.records(zone.at(owner)).filter_map(|record| record.key()) {
        let Some(their) = theirs else { return Some(Ordering::Greater) };
        if ours != their {
            return Some(ours.cmp(&their));
        }
        theirs = theirs_after(Some(&their));
    }
    Some(if theirs.is_some() { Ordering::Less } else { Ordering::Equal })
}
