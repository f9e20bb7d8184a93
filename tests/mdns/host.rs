//! A host with a responder, on a clock that jumps to where something is due.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tinyftp::service::{Datagram, DatagramService, Emission};
use tinyftp::services::mdns::{Advertised, Config, GROUPS, Mdns, PORT};
use tinyftp::time::Instant;

use crate::wire;

pub const FTP: Advertised<'_> = Advertised { kind: "_ftp._tcp", port: 21, txt: &[] };
/// Octets that a message may have.
pub const ROOM: usize = 1232;
/// Somebody else on the network.
pub const PEER: &str = "192.0.2.9:5353";
pub const PEER_V6: &str = "[fe80::9]:5353";

pub struct Host<'a> {
    pub mdns: Mdns<'a>,
    pub addresses: Vec<IpAddr>,
    pub now: Instant,
    pub room: usize,
}

/// A message that was sent.
#[derive(Debug)]
pub struct Sent {
    pub at: Instant,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

impl<'a> Host<'a> {
    /// A host that is about to have these addresses.
    pub fn new(config: Config<'a>, addresses: &[&str]) -> Self {
        let mdns = Mdns::new(config).expect("a valid configuration");
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self { mdns, addresses, now: Instant::ZERO, room: ROOM }
    }

    /// A host by the name of tinyftp, with an FTP service.
    pub fn tinyftp(addresses: &[&str]) -> Self {
        Self::new(Config { hostname: "tinyftp", services: &[FTP], seed: 7 }, addresses)
    }

    /// The same, long after it has announced itself.
    pub fn settled(addresses: &[&str]) -> Self {
        let mut host = Self::tinyftp(addresses);
        host.run(60_000);
        host
    }

    /// What is sent within so many milliseconds.
    pub fn run(&mut self, millis: u64) -> Vec<Sent> {
        let end = self.now + Duration::from_millis(millis);
        let mut sent = vec![];
        loop {
            let wake = self.flush(&mut sent);
            self.now = wake.filter(|&wake| wake <= end).unwrap_or(end);
            if self.now == end {
                self.flush(&mut sent);
                return sent;
            }
        }
    }

    /// Sends what is due now; says when to go on.
    pub fn flush(&mut self, sent: &mut Vec<Sent>) -> Option<Instant> {
        for _ in 0..100 {
            let mut message = vec![0; self.room];
            match self.mdns.poll(&self.addresses, &mut message, self.now) {
                Emission::Send { to, len } => {
                    message.truncate(len);
                    sent.push(Sent { at: self.now, to, payload: message });
                }
                Emission::Wait(wake) => {
                    assert!(wake.is_none_or(|wake| wake > self.now), "no time goes by");
                    return wake;
                }
            }
        }
        panic!("there is no end of messages");
    }

    /// A datagram comes; the answer to its sender alone.
    pub fn receive(
        &mut self,
        local: SocketAddr,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        let mut reply = vec![0; self.room];
        let datagram = Datagram { local, peer, payload };
        let len = self.mdns.answer(&datagram, &mut reply, self.now)?;
        reply.truncate(len);
        Some(reply)
    }

    /// A message to the group comes from a peer; the answer to the peer alone, as text.
    pub fn hear(&mut self, peer: &str, message: &str) -> Option<String> {
        let peer: SocketAddr = peer.parse().unwrap();
        let group = SocketAddr::new(GROUPS[usize::from(peer.is_ipv6())], PORT);
        self.receive(group, peer, &wire::message(message)).map(|reply| wire::text(&reply))
    }

    /// A query comes, and nobody gets an answer of his own. What is sent to all, and after how
    /// many milliseconds.
    pub fn ask(&mut self, peer: &str, query: &str) -> (String, u64) {
        assert_eq!(self.hear(peer, query), None);
        let start = self.now;
        let sent = self.run(2000);
        let delay = sent.first().map_or(0, |sent| millis(sent.at.since(start)));
        (trace(&sent), delay)
    }
}

pub fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Milliseconds from each message to the next.
pub fn intervals(sent: &[Sent]) -> Vec<u64> {
    sent.windows(2).map(|pair| millis(pair[1].at.since(pair[0].at))).collect()
}

/// Messages as text, each below where it went.
pub fn trace(sent: &[Sent]) -> String {
    sent.iter().map(|sent| format!("to {}\n{}", sent.to.ip(), wire::text(&sent.payload))).collect()
}

/// Compares texts line by line; how they are indented does not matter.
#[track_caller]
pub fn assert_trace(found: &str, expected: &str) {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_string()).collect::<Vec<_>>();
    let mut expected = lines(expected);
    expected.retain(|line| !line.is_empty());
    assert_eq!(lines(found), expected, "found:\n{found}");
}
