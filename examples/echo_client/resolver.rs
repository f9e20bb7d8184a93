//! Addresses of names: from a DNS server (RFC 1035), and of names in `.local` from whoever has
//! them (RFC 6762 section 5.1).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::dep::octseq::array::Array;
use domain::rdata::{A, Aaaa};
use tinyftp::service::{Datagram, DatagramService, Emission};
use tinyftp::time::{Duration, Instant};

/// How long an answer may take before the question is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often each server is asked.
const ROUNDS: usize = 3;

const DNS: u16 = 53;
const MDNS: u16 = 5353;
const MDNS_GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
];

type HostName = Name<Array<255>>;

/// What is asked for of a name, each in a message of its own, as resolvers do.
const TYPES: [Rtype; 2] = [Rtype::AAAA, Rtype::A];

/// Asks for the addresses of one name.
pub struct Resolver {
    name: HostName,
    /// Whom to ask, in this order.
    servers: Vec<SocketAddr>,
    /// The number of each question, which its answer repeats.
    ids: [u16; TYPES.len()],
    answers: [Option<Vec<IpAddr>>; TYPES.len()],
    /// Messages to be sent now: a server, and which question.
    to_ask: VecDeque<(SocketAddr, usize)>,
    rounds: usize,
    ask_again: Option<Instant>,
}

impl Resolver {
    /// A resolver for `name`, which asks `servers`, or the link if the name is in `.local`.
    /// `random` makes the numbers of the questions hard to guess.
    pub fn new(name: &str, servers: &[IpAddr], random: u32) -> Result<Self, String> {
        let is_local = name.trim_end_matches('.').to_ascii_lowercase().ends_with(".local");
        let servers: Vec<SocketAddr> = match is_local {
            true => MDNS_GROUPS.iter().map(|&group| SocketAddr::new(group, MDNS)).collect(),
            false => servers.iter().map(|&server| SocketAddr::new(server, DNS)).collect(),
        };
        if servers.is_empty() {
            return Err(format!("{name}: there is no DNS server; give one with --dns"));
        }
        let name = HostName::from_chars(name.chars())
            .map_err(|error| format!("{name} is no host name: {error}"))?;
        let ids = [random as u16, (random >> 16) as u16];
        let (answers, to_ask) = (Default::default(), VecDeque::new());
        Ok(Self { name, servers, ids, answers, to_ask, rounds: 0, ask_again: Some(Instant::ZERO) })
    }

    /// The addresses, once every question has been answered, or been asked often enough.
    pub fn addresses(&self) -> Option<Vec<IpAddr>> {
        let all = self.answers.iter().all(Option::is_some);
        let is_over = self.ask_again.is_none() && self.to_ask.is_empty();
        (all || is_over).then(|| self.answers.iter().flatten().flatten().copied().collect())
    }

    fn question(&self, which: usize) -> Option<Array<512>> {
        let mut message = MessageBuilder::from_target(Array::new()).ok()?;
        message.header_mut().set_id(self.ids[which]);
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((&self.name, TYPES[which])).ok()?;
        Some(message.finish())
    }

    /// What a message says to one of our questions: addresses, or that this server has no answer.
    fn read(&self, message: &Message<[u8]>) -> Option<(usize, Option<Vec<IpAddr>>)> {
        let which = self.ids.iter().position(|&id| id == message.header().id())?;
        let question = message.first_question()?;
        let is_ours = *question.qname() == self.name && question.qtype() == TYPES[which];
        if !is_ours || !message.header().qr() {
            return None;
        }
        if !matches!(message.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Some((which, None));
        }
        // Between the name and its addresses there may be aliases: a server sends them along.
        let answer = message.answer().ok()?;
        let six = answer.limit_to::<Aaaa>().flatten().map(|record| record.data().addr().into());
        let four = answer.limit_to::<A>().flatten().map(|record| record.data().addr().into());
        Some((which, Some(six.chain(four).collect())))
    }
}

impl DatagramService for Resolver {
    fn answer(&mut self, datagram: &Datagram<'_>, _: &mut [u8], _: Instant) -> Option<usize> {
        let is_asked = |server: &SocketAddr| match server.ip().is_multicast() {
            true => datagram.peer.port() == server.port(),
            false => datagram.peer == *server,
        };
        let message = Message::from_slice(datagram.payload).ok()?;
        if self.servers.iter().any(is_asked) {
            match self.read(message)? {
                (which, Some(addresses)) => _ = self.answers[which].get_or_insert(addresses),
                // The next round is due, with the next server.
                (_, None) => self.ask_again = self.ask_again.map(|_| Instant::ZERO),
            }
        }
        None
    }

    fn poll(&mut self, _: &[IpAddr], message: &mut [u8], now: Instant) -> Emission {
        if self.ask_again.is_some_and(|at| now >= at) {
            // Servers in turn; groups all at once.
            let turn = self.rounds % self.servers.len();
            let is_local = self.servers[0].ip().is_multicast();
            let servers = if is_local { &self.servers[..] } else { &self.servers[turn..=turn] };
            let rounds = if is_local { ROUNDS } else { ROUNDS * self.servers.len() };
            let missing = (0..TYPES.len()).filter(|&which| self.answers[which].is_none());
            if self.rounds < rounds {
                self.to_ask = missing
                    .flat_map(|which| servers.iter().map(move |&server| (server, which)))
                    .collect();
            }
            self.ask_again = (self.rounds < rounds).then_some(now + PATIENCE);
            self.rounds += 1;
        }
        let Some((to, which)) = self.to_ask.pop_front() else {
            return Emission::Wait(self.ask_again);
        };
        match self.question(which) {
            Some(question) if question.as_ref().len() <= message.len() => {
                let len = question.as_ref().len();
                message[..len].copy_from_slice(question.as_ref());
                Emission::Send { to, len }
            }
            _ => Emission::Wait(self.ask_again),
        }
    }
}
