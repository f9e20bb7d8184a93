//! What is asked, and when it is answered.

use domain::base::iana::Class;

use super::message::{self, Message};
use super::random::Random;
use super::record::{TOP_BIT, is_internet};
use super::rrset::{Rrset, Rrsets};
use super::zone::Zone;
use crate::time::Duration;

/// A query, as far as it is about us.
pub struct Query {
    /// What answers it.
    pub answers: Rrsets,
    /// Those of the answers that all want to hear.
    pub by_multicast: Rrsets,
    /// Whether somebody probes for a name.
    pub is_probe: bool,
    questions: u16,
    is_truncated: bool,
}

impl Query {
    /// Reads a query.
    pub fn read(zone: &Zone<'_>, message: &Message) -> Self {
        let counts = message.header_counts();
        let mut query = Self {
            answers: Rrsets::NONE,
            by_multicast: Rrsets::NONE,
            is_probe: counts.nscount() > 0,
            questions: counts.qdcount(),
            is_truncated: message.header().tc(),
        };
        for question in message::questions(message) {
            let Some(owner) = zone.owner(question.qname()) else { continue };
            let class = question.qclass();
            if !is_internet(class) && class.to_int() & !TOP_BIT != Class::ANY.to_int() {
                continue;
            }
            let answers = zone.asked(owner, question.qtype());
            query.answers = query.answers.union(answers);
            if class.to_int() & TOP_BIT == 0 {
                query.by_multicast = query.by_multicast.union(answers);
            }
        }
        query
    }

    /// Whether it only says what else the peer knows, who asked before (RFC 6762, 7.2).
    pub fn is_continued(&self) -> bool {
        self.questions == 0
    }

    /// How long to wait with the answers (6): others may have answers too, or the peer more to
    /// say of what it knows (7.2). A name is defended at once.
    pub fn delay(&self, answers: Rrsets, random: &mut Random) -> Duration {
        if self.is_truncated {
            random.between(400, 500)
        } else if self.is_probe || self.questions == 1 && !answers.iter().any(Rrset::is_shared) {
            Duration::ZERO
        } else {
            random.between(20, 120)
        }
    }
}

/// Which of these answers the peer knows already, and for long enough (7.1).
pub fn known(zone: &Zone<'_>, answers: Rrsets, message: &Message) -> Rrsets {
    answers.filter(|&rrset| {
        zone.records_of(rrset).all(|ours| {
            message::answers(message)
                .any(|theirs| ours.is(&theirs) && theirs.ttl().as_secs() >= ours.ttl / 2)
        })
    })
}
