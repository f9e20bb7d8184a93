//! Trap 9: frames that nobody should send, into a server with connections in every state. The
//! seeds are fixed. Arithmetic that overflows and indices out of bounds are panics here, and
//! smoltcp's own assertions are on.

use smoltcp::wire::{
    EthernetProtocol, IpAddress, IpProtocol, Ipv4Address, NdiscRepr, NdiscRouterFlags,
};

use crate::client::{Client, Mode};
use crate::raw::{self, Peer, RAW_MAC, RAW_V4, RAW_V6};
use crate::sim::{
    BEACON, DAYTIME, DISCARD, ECHO, FTP, GROUPS, IDLE, Micros, Random, SERVER_MAC, SERVER_V4,
    SERVER_V6, Shape, World,
};
use crate::wire::{self, Mac, Seen};

/// Frames of one test; there are four.
const FRAMES: usize = 50_000;
/// Frames after which everybody has gone, and others come.
const EPOCH: usize = 2_500;
/// By then the server must have forgotten whoever left: one transfer after another may wait in
/// the receive buffer, and each may stand still for a while.
const FORGOTTEN: Micros = 20 * IDLE;

struct Fuzz {
    w: World,
    random: Random,
    /// Connections of every kind; the numbers are kept near what the server expects.
    peers: Vec<Peer>,
}

fn fuzz(shape: Shape, seed: u64) {
    let file = crate::sim::pattern(100_000, seed);
    let mut w = World::with_files(shape, &[("/file", &file)]);
    raw::introduce(&mut w);
    let mut fuzz = Fuzz { w, random: Random::new(seed), peers: Vec::new() };
    let mut frames = 0;
    while frames < FRAMES {
        fuzz.begin();
        for _ in 0..EPOCH / 50 {
            let batch: Vec<Vec<u8>> = (0..50).map(|_| fuzz.frame()).collect();
            frames += batch.len();
            fuzz.give(batch);
        }
        fuzz.end();
    }
    let Fuzz { mut w, .. } = fuzz;
    let host = w.host(100);
    let mut client = Client::login(&mut w, host);
    assert!(client.retrieve(&mut w, Mode::Pasv, "file") == file);
    client.store(&mut w, Mode::Port, "up", &file);
    client.quit(&mut w);
    w.finish();
}

impl Fuzz {
    /// Opens connections of every kind.
    fn begin(&mut self) {
        let w = &mut self.w;
        raw::introduce(w);
        let mut half_open = Peer::new(60_001, ECHO);
        half_open.request(w);
        let mut echo = Peer::new6(60_002, ECHO);
        echo.connect(w);
        let mut session = Peer::new(60_003, FTP);
        let (verb, port) =
            if self.random.percent(50) { ("STOR up", 60_004) } else { ("RETR file", 60_005) };
        session.connect(w);
        let lines = format!("USER anna\r\nPASS secret\r\nTYPE I\r\nPASV\r\n{verb}\r\n");
        let sent = session.say(w, lines.as_bytes());
        let text: Vec<u8> = sent.iter().flat_map(|segment| segment.payload.clone()).collect();
        let text = String::from_utf8(text).unwrap();
        let passive = text.split("227").nth(1).unwrap().split(['(', ')']).nth(1).unwrap();
        let passive: Vec<u16> = passive.split(',').map(|n| n.parse().unwrap()).collect();
        let mut data = Peer::new(port, passive[4] * 256 + passive[5]);
        data.connect(w);
        // And one that the server has closed.
        self.peers = vec![half_open, echo, session, data];
        let mut closed = Peer::new(60_006, FTP);
        closed.connect(w);
        closed.say(w, b"QUIT\r\n");
        self.peers.push(closed);
        // The server has told those that only send no window but that of its SYN|ACK.
        for peer in [1, 3] {
            let offset = self.random.below(2 * self.w.shape.data_receive as u32);
            let far = self.peers[peer].data(offset as usize, 1460);
            self.w.inject([self.peers[peer].frame(&far)]);
        }
    }

    fn give(&mut self, batch: Vec<Vec<u8>>) {
        self.w.inject(batch);
        let pause = [0, 0, 1, 50, 1_000, 20_000][self.random.below(6) as usize];
        self.w.run(pause);
        for seen in self.w.sent() {
            // Whatever the server sends is a whole frame; the connections go where it says.
            let Seen::Tcp(segment) = seen else { continue };
            let peer = self
                .peers
                .iter_mut()
                .find(|peer| peer.me == segment.target && peer.server == segment.source);
            if let Some(peer) = peer
                && segment.ack
                && !segment.rst
            {
                peer.seq = segment.ack_number;
                let len = segment.payload.len() as u32 + u32::from(segment.fin || segment.syn);
                peer.ack = segment.seq.wrapping_add(len);
            }
        }
    }

    fn end(&mut self) {
        self.w.run(FORGOTTEN);
        let Shape { control, data, .. } = self.w.shape;
        assert_eq!(self.w.server.net.free_slots(), (control, data), "slots are lost");
    }

    /// The next frame.
    fn frame(&mut self) -> Vec<u8> {
        match self.random.below(22) {
            0..9 => self.segment(),
            9..12 => {
                let frame = self.segment();
                self.flip(frame, true)
            }
            12 => {
                let frame = self.segment();
                self.flip(frame, false)
            }
            13 => self.fragment(),
            14 => self.extended(),
            15 => self.arp(),
            16 => self.discovery(),
            17 => self.short(),
            18 => self.icmp(),
            19 | 20 => self.datagram(),
            _ => self.noise(),
        }
    }

    /// A segment of a connection, more or less where it has come to.
    fn segment(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let peer = &self.peers[random.below(self.peers.len() as u32) as usize];
        let mut segment = peer.ack();
        segment.seq = near(random, peer.seq);
        segment.ack_number = near(random, peer.ack);
        // What ends a connection at once is rare, or there would soon be none left.
        segment.syn = random.percent(5);
        segment.rst = random.percent(2);
        segment.fin = random.percent(3);
        segment.ack = random.percent(95);
        segment.window = match random.below(4) {
            0 => 0,
            1 => random.below(10) as u16,
            _ => random.next() as u16,
        };
        if random.percent(10) {
            segment.scale = Some(random.below(16) as u8);
            segment.mss = Some([0, 1, 48, 536, 65_535][random.below(5) as usize]);
            segment.sack = random.percent(50);
        }
        let len = match random.below(5) {
            0 => 0,
            1 => 1,
            2 => random.below(100),
            _ => random.below(1440),
        };
        segment.payload = vec![b'N'; len as usize];
        if random.percent(20) {
            segment.payload =
                b"NOOP\r\nPASV\r\nLIST\r\nABOR\r\nQUIT\r\n"[..random.below(31) as usize].to_vec();
        }
        peer.frame(&segment)
    }

    /// Some bits are not what they were; the checksums may have been put right again.
    fn flip(&mut self, mut frame: Vec<u8>, fix: bool) -> Vec<u8> {
        for _ in 0..=self.random.below(6) {
            // Rarely in the Ethernet header, and mostly in the headers.
            let first = if self.random.percent(10) { 0 } else { 14 };
            let last = if self.random.percent(80) { 80.min(frame.len()) } else { frame.len() };
            let at = first + self.random.below((last - first) as u32) as usize;
            frame[at] ^= 1 << self.random.below(8);
        }
        if fix {
            fix_checksums(&mut frame);
        }
        frame
    }

    fn fragment(&mut self) -> Vec<u8> {
        let mut frame = self.segment();
        if frame[12..14] == [8, 0] {
            let bits = (self.random.next() as u16 & 0x3fff).to_be_bytes();
            frame[20..22].copy_from_slice(&bits);
            fix_checksums(&mut frame);
        }
        frame
    }

    /// Extension headers, or what says that it is one.
    fn extended(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let protocol = [0u8, 43, 44, 50, 51, 59, 60, 135][random.below(8) as usize];
        let mut payload: Vec<u8> = (0..random.below(100)).map(|_| random.next() as u8).collect();
        if payload.len() > 8 && random.percent(70) {
            payload[0] = [6, 58, 0, 60, 44][random.below(5) as usize];
            payload[1] = random.below(4) as u8;
        }
        wire::ip(RAW_V6.into(), SERVER_V6.into(), protocol.into(), &payload, RAW_MAC, SERVER_MAC)
    }

    fn arp(&mut self) -> Vec<u8> {
        let to = if self.random.percent(50) { SERVER_MAC } else { Mac::BROADCAST };
        let mut frame = wire::arp((RAW_V4, RAW_MAC), (SERVER_V4, to));
        for _ in 0..self.random.below(4) {
            let at = 14 + self.random.below(28) as usize;
            frame[at] = self.random.next() as u8;
        }
        if self.random.percent(20) {
            frame.truncate(14 + self.random.below(28) as usize);
        }
        frame
    }

    fn discovery(&mut self) -> Vec<u8> {
        let (from, to) = ((RAW_V6, RAW_MAC), (SERVER_V6, SERVER_MAC));
        let lladdr = Some(RAW_MAC.into());
        let mut frame = match self.random.below(4) {
            0 => wire::neighbor(from, to),
            1 => {
                let repr = NdiscRepr::NeighborSolicit { target_addr: SERVER_V6, lladdr };
                wire::icmpv6(smoltcp::wire::Icmpv6Repr::Ndisc(repr), from, to)
            }
            2 => {
                let repr = NdiscRepr::RouterAdvert {
                    hop_limit: 64,
                    flags: NdiscRouterFlags::MANAGED,
                    router_lifetime: smoltcp::time::Duration::from_secs(100),
                    reachable_time: smoltcp::time::Duration::from_millis(1),
                    retrans_time: smoltcp::time::Duration::from_millis(1),
                    lladdr,
                    mtu: Some(1280),
                    prefix_info: None,
                };
                wire::icmpv6(smoltcp::wire::Icmpv6Repr::Ndisc(repr), from, to)
            }
            _ => {
                let payload: Vec<u8> = [133, 134, 135, 136, 137][self.random.below(5) as usize..]
                    [..1]
                    .iter()
                    .copied()
                    .chain((0..self.random.below(90)).map(|n| (n % 7) as u8))
                    .collect();
                wire::ip(
                    RAW_V6.into(),
                    SERVER_V6.into(),
                    IpProtocol::Icmpv6,
                    &payload,
                    RAW_MAC,
                    SERVER_MAC,
                )
            }
        };
        for _ in 0..self.random.below(4) {
            let at = 54 + self.random.below(frame.len() as u32 - 54) as usize;
            frame[at] = self.random.next() as u8;
        }
        fix_checksums(&mut frame);
        frame
    }

    fn short(&mut self) -> Vec<u8> {
        let mut frame = self.segment();
        frame.truncate(self.random.below(frame.len() as u32) as usize);
        frame
    }

    fn icmp(&mut self) -> Vec<u8> {
        let six = self.random.percent(50);
        let data = vec![7; self.random.below(1400) as usize];
        let frame = if six {
            wire::ping((RAW_V6.into(), RAW_MAC), (SERVER_V6.into(), SERVER_MAC), &data)
        } else {
            wire::ping((RAW_V4.into(), RAW_MAC), (SERVER_V4.into(), SERVER_MAC), &data)
        };
        self.flip(frame, true)
    }

    /// A datagram to a service, to a group or to nobody, more or less.
    fn datagram(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let port =
            [ECHO, DISCARD, DAYTIME, BEACON, 53, 67, 68, 5353, 9999][random.below(9) as usize];
        let from = [1, 67, 68, 1023, 5353, 40_000][random.below(6) as usize];
        let [group4, group6] = GROUPS.map(IpAddress::from);
        let (source, targets): (IpAddress, [IpAddress; 3]) = match random.percent(50) {
            true => (RAW_V4.into(), [SERVER_V4.into(), group4, Ipv4Address::BROADCAST.into()]),
            false => (RAW_V6.into(), [SERVER_V6.into(), group6, RAW_V6.into()]),
        };
        let target = targets[random.below(3) as usize];
        let mac = if random.percent(70) { SERVER_MAC } else { Mac::BROADCAST };
        let text: Vec<u8> = (0..random.below(1400)).map(|n| n as u8).collect();
        let frame = wire::udp(((source, from), RAW_MAC), ((target, port), mac), &text);
        if self.random.percent(50) { self.flip(frame, true) } else { frame }
    }

    fn noise(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let ethertype = [0x0800u16, 0x0806, 0x86dd, 0x8100, 0][random.below(5) as usize];
        let mut payload: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        if let Some(first) = payload.first_mut() {
            *first = [0x45, 0x60, 0x4f, *first][random.below(4) as usize];
        }
        wire::ethernet(RAW_MAC, SERVER_MAC, EthernetProtocol::from(ethertype), &payload)
    }
}

/// A number that is right, nearly right, or not at all.
fn near(random: &mut Random, number: u32) -> u32 {
    match random.below(8) {
        0..3 => number,
        3 => number.wrapping_add(random.below(3_000)),
        4 => number.wrapping_sub(random.below(3_000)),
        5 => number.wrapping_add(random.below(2_000_000)),
        6 => number.wrapping_add([1, u32::MAX, 65_535, 1 << 31][random.below(4) as usize]),
        _ => random.next() << 1,
    }
}

fn fix_checksums(frame: &mut [u8]) {
    let Some(ethertype) = frame.get(12..14) else { return };
    if ethertype == [8, 0] && frame.len() >= 34 {
        let end = 14 + usize::from(frame[14] & 15) * 4;
        if end < 34 || end > frame.len() {
            return;
        }
        frame[24..26].fill(0);
        let sum = checksum(0, &frame[14..end]);
        frame[24..26].copy_from_slice(&sum);
        let total = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let (protocol, addresses) = (frame[23], frame[26..34].to_vec());
        if total >= end && total <= frame.len() {
            fix_payload(protocol, &addresses, &mut frame[end..total]);
        }
    } else if ethertype == [0x86, 0xdd] && frame.len() >= 54 {
        let total = 54 + usize::from(u16::from_be_bytes([frame[18], frame[19]]));
        let (protocol, addresses) = (frame[20], frame[22..54].to_vec());
        if total <= frame.len() {
            fix_payload(protocol, &addresses, &mut frame[54..total]);
        }
    }
}

fn fix_payload(protocol: u8, addresses: &[u8], payload: &mut [u8]) {
    let at = match protocol {
        6 => 16,
        17 => 6,
        1 | 58 => 2,
        _ => return,
    };
    let mut pseudo = u32::from(protocol) + payload.len() as u32;
    if protocol == 1 {
        pseudo = 0;
    } else {
        pseudo += addresses
            .chunks(2)
            .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])))
            .sum::<u32>();
    }
    let Some(field) = payload.get_mut(at..at + 2) else { return };
    field.fill(0);
    let sum = checksum(pseudo, payload);
    payload[at..at + 2].copy_from_slice(&sum);
}

/// RFC 1071.
fn checksum(start: u32, bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|two| u32::from(u16::from_be_bytes([two[0], *two.get(1).unwrap_or(&0)])));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[test]
fn small_one() {
    fuzz(Shape { control: 6, ..Shape::SMALL }, 1);
}

#[test]
fn small_two() {
    fuzz(Shape { control: 8, data: 1, control_receive: 600, ..Shape::SMALL }, 2);
}

#[test]
fn large_one() {
    fuzz(Shape::LARGE, 3);
}

#[test]
fn large_two() {
    fuzz(Shape { control: 20, ..Shape::LARGE }, 4);
}
