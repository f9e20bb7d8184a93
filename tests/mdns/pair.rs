//! Two responders of the same name on one network.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tinyftp::services::mdns::{Config, PORT};
use tinyftp::time::Instant;

use crate::host::{FTP, Host, Sent, trace};

/// Two hosts, and what each of them hears of the other.
struct Pair<'a> {
    hosts: [Host<'a>; 2],
    /// Messages to all: who sent each.
    sent: Vec<(usize, Sent)>,
}

impl<'a> Pair<'a> {
    fn new(seeds: [u64; 2], addresses: [&str; 2]) -> Self {
        let host = |n: usize| {
            let config = Config { hostname: "tinyftp", services: &[FTP], seed: seeds[n] };
            Host::new(config, &addresses[n..=n])
        };
        Self { hosts: [host(0), host(1)], sent: vec![] }
    }

    /// Both of them for so many milliseconds; `starts` is when each has its address.
    fn run(&mut self, millis: u64, starts: [u64; 2]) {
        let mut now = self.hosts[0].now;
        let end = now + Duration::from_millis(millis);
        while now < end {
            let mut wake = end;
            for (n, start) in starts.map(Instant::from_millis).into_iter().enumerate() {
                self.hosts[n].now = now;
                if now < start {
                    wake = wake.min(start);
                } else if let Some(at) = self.exchange(n) {
                    wake = wake.min(at);
                }
            }
            // What one has said may make the other speak at once.
            now = wake.max(now + Duration::from_millis(1));
        }
        self.hosts.iter_mut().for_each(|host| host.now = now);
    }

    /// One sends what it has to, and the other answers.
    fn exchange(&mut self, n: usize) -> Option<Instant> {
        let mut sent = vec![];
        let wake = self.hosts[n].flush(&mut sent);
        let [from, to] = [n, 1 - n].map(|n| SocketAddr::new(self.address(n), PORT));
        for sent in sent {
            let reply = self.hosts[1 - n].receive(sent.to, from, &sent.payload);
            if let Some(reply) = reply {
                assert_eq!(self.hosts[n].receive(from, to, &reply), None);
            }
            self.sent.push((n, sent));
        }
        wake
    }

    fn address(&self, n: usize) -> IpAddr {
        self.hosts[n].addresses[0]
    }

    fn names(&self) -> [&str; 2] {
        [0, 1].map(|n| self.hosts[n].mdns.hostname())
    }
}

#[test]
fn who_comes_second_takes_another_name() {
    for addresses in [["192.0.2.1", "192.0.2.2"], ["fe80::2", "fe80::1"]] {
        let mut pair = Pair::new([1, 2], addresses);
        pair.run(20_000, [0, 10_000]);
        assert_eq!(pair.names(), ["tinyftp", "tinyftp-2"]);
        // The first was not disturbed: 3 probes and 2 announcements.
        assert_eq!(pair.sent.iter().filter(|sent| sent.0 == 0).count(), 5);
        let last: Vec<_> = pair.sent.into_iter().map(|sent| sent.1).collect();
        let text = trace(&last[last.len() - 1..]);
        assert!(text.contains("= _ftp._tcp.local 4500 PTR tinyftp-2._ftp._tcp.local\n"), "{text}");
    }
}

#[test]
fn of_two_at_once_the_greater_keeps_the_name() {
    for seed in 0..50 {
        let mut pair = Pair::new([seed, seed + 1000], ["192.0.2.1", "192.0.2.2"]);
        pair.run(20_000, [0, 0]);
        assert_eq!(pair.names(), ["tinyftp-2", "tinyftp"], "seed {seed}");
    }
}

#[test]
fn of_two_that_were_apart_one_takes_another_name() {
    let mut pair = Pair::new([3, 4], ["192.0.2.1", "192.0.2.2"]);
    for host in &mut pair.hosts {
        host.run(10_000);
        assert_eq!(host.mdns.hostname(), "tinyftp");
    }
    // The networks are joined, and one of them is asked.
    pair.hosts[0].hear("192.0.2.9:5353", "query\n? tinyftp.local A");
    pair.run(20_000, [0, 0]);
    let mut names = pair.names();
    names.sort_unstable();
    assert_eq!(names, ["tinyftp", "tinyftp-2"]);
}
