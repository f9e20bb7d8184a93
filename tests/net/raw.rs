//! A peer without a stack: the test writes each of its segments.

use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address, Ipv6Address};

use crate::sim::{FIRST_RAW_PORT, GATEWAY_V4, GATEWAY_V6, SERVER_MAC, SERVER_V4, SERVER_V6, World};
use crate::wire::{End, Mac, Segment};

pub const RAW_MAC: Mac = EthernetAddress([2, 0, 0, 0, 2, 1]);
pub const RAW_V4: Ipv4Address = Ipv4Address::new(192, 168, 69, 200);
pub const RAW_V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x200);
pub const GATEWAY_MAC: Mac = EthernetAddress([2, 0, 0, 0, 0, 0xfe]);

/// One end of a connection, and where it has come to.
#[derive(Clone, Debug)]
pub struct Peer {
    pub mac: Mac,
    pub me: End,
    pub server: End,
    /// The next sequence number to send.
    pub seq: u32,
    /// What it expects from the server.
    pub ack: u32,
    /// The window that it tells, not scaled.
    pub window: u16,
}

/// Makes the raw peers known to the server.
pub fn introduce(w: &mut World) {
    w.phantom(RAW_V4.into(), RAW_MAC);
    w.phantom(RAW_V6.into(), RAW_MAC);
    w.phantom(GATEWAY_V4.into(), GATEWAY_MAC);
    w.phantom(GATEWAY_V6.into(), GATEWAY_MAC);
}

impl Peer {
    /// On the server's link.
    pub fn new(port: u16, to: u16) -> Self {
        Self::at(RAW_V4.into(), RAW_MAC, port, to)
    }

    pub fn new6(port: u16, to: u16) -> Self {
        Self::at(RAW_V6.into(), RAW_MAC, port, to)
    }

    /// Somewhere behind the gateway.
    pub fn far(address: [u8; 4], port: u16, to: u16) -> Self {
        Self::at(Ipv4Address::from(address).into(), GATEWAY_MAC, port, to)
    }

    /// With the addresses of a host, on a port that the host's own stack is not told of.
    pub fn beside(w: &World, host: usize, port: u16, to: u16) -> Self {
        assert!(port >= FIRST_RAW_PORT);
        Self::at(w.hosts[host].v4.into(), w.hosts[host].mac, port, to)
    }

    fn at(address: IpAddress, mac: Mac, port: u16, to: u16) -> Self {
        let server = match address {
            IpAddress::Ipv4(_) => SERVER_V4.into(),
            IpAddress::Ipv6(_) => SERVER_V6.into(),
        };
        Self::between((address, port), mac, (server, to))
    }

    /// Any end, and any of the server's.
    pub fn between(me: End, mac: Mac, server: End) -> Self {
        Self { mac, me, server, seq: 1_000_000, ack: 0, window: 60_000 }
    }

    /// An ACK of all that came, and the start of any other segment.
    pub fn ack(&self) -> Segment {
        Segment {
            ack: true,
            seq: self.seq,
            ack_number: self.ack,
            window: self.window,
            ..Segment::new(self.me, self.server)
        }
    }

    pub fn syn(&self) -> Segment {
        Segment {
            syn: true,
            seq: self.seq,
            window: self.window,
            scale: Some(7),
            mss: Some(1460),
            sack: true,
            ..Segment::new(self.me, self.server)
        }
    }

    pub fn rst(&self) -> Segment {
        Segment { rst: true, seq: self.seq, ..Segment::new(self.me, self.server) }
    }

    pub fn fin(&self) -> Segment {
        Segment { fin: true, ..self.ack() }
    }

    /// `len` bytes at `offset` from where it has come to.
    pub fn data(&self, offset: usize, len: usize) -> Segment {
        let seq = self.seq.wrapping_add(offset as u32);
        Segment { seq, payload: vec![b'x'; len], ..self.ack() }
    }

    pub fn frame(&self, segment: &Segment) -> Vec<u8> {
        segment.frame(self.mac, SERVER_MAC)
    }

    /// Sends segments, all together; says what the server sends to this peer.
    pub fn exchange(&self, w: &mut World, segments: &[Segment]) -> Vec<Segment> {
        w.inject(segments.iter().map(|segment| self.frame(segment)));
        self.sent_to_me(w)
    }

    /// What the server has sent to this peer since it was last looked at.
    pub fn sent_to_me(&self, w: &mut World) -> Vec<Segment> {
        let mut segments = w.segments();
        segments.retain(|segment| segment.target == self.me && segment.source == self.server);
        segments
    }

    /// Sends its SYN; the SYN|ACK that must come.
    pub fn request(&mut self, w: &mut World) -> Segment {
        let sent = self.exchange(w, &[self.syn()]);
        let [answer] = &sent[..] else { panic!("one SYN|ACK, not {sent:?}") };
        assert_eq!(answer.flags(), "SYN|ACK");
        assert_eq!(answer.ack_number, self.seq.wrapping_add(1));
        self.seq = self.seq.wrapping_add(1);
        self.ack = answer.seq.wrapping_add(1);
        answer.clone()
    }

    /// Connects; what the server says first.
    pub fn connect(&mut self, w: &mut World) -> Vec<Segment> {
        self.request(w);
        let sent = self.exchange(w, &[self.ack()]);
        self.take(&sent);
        sent
    }

    /// Takes what the server sent, in order.
    pub fn take(&mut self, segments: &[Segment]) {
        for segment in segments {
            if segment.seq == self.ack {
                let len = segment.payload.len() as u32 + u32::from(segment.fin);
                self.ack = self.ack.wrapping_add(len);
            }
        }
    }

    /// Sends bytes and takes the answers.
    pub fn say(&mut self, w: &mut World, bytes: &[u8]) -> Vec<Segment> {
        let segment = Segment { payload: bytes.to_vec(), ..self.ack() };
        self.seq = self.seq.wrapping_add(bytes.len() as u32);
        let sent = self.exchange(w, &[segment]);
        self.take(&sent);
        sent
    }
}
