//! The client: a TCP that acknowledges all that comes at once, and FTP over it.

use smoltcp::wire::{EthernetAddress, Ipv4Address};
use tinyftp::net::smoltcp;

use crate::server::{ADDRESS, FTP, HARDWARE, Server};
use crate::wire::{self, End, Mac, Seen, Segment};

const MAC: Mac = EthernetAddress([2, 0, 0, 0, 0, 2]);
const PEER: Ipv4Address = Ipv4Address::new(192, 168, 69, 2);
const SCALE: u8 = 7;
/// 8 MiB, so that it never holds the server up.
const WINDOW: u16 = u16::MAX;
const MSS: usize = 1460;
/// Segments with content that are sent together.
const BURST: usize = 32;

/// One end of a connection.
pub struct Peer {
    me: End,
    server: End,
    seq: u32,
    /// The next sequence number that the server is to send.
    next: u32,
    /// Whether the server has sent its FIN.
    ended: bool,
}

impl Peer {
    pub fn connect(server: &mut Server, port: u16) -> Self {
        server.port += 1;
        let (me, there) = ((PEER.into(), server.port), (ADDRESS.into(), port));
        let mut peer = Self { me, server: there, seq: 1, next: 0, ended: false };
        let syn = Segment {
            syn: true,
            window: WINDOW,
            scale: Some(SCALE),
            mss: Some(MSS as u16),
            sack: true,
            ..Segment::new(me, there)
        };
        let answers = peer.give(server, &[Segment { seq: 0, ..syn }]);
        let [answer] = &answers[..] else { panic!("one SYN|ACK, not {answers:?}") };
        assert!(answer.syn && answer.ack);
        peer.next = answer.seq.wrapping_add(1);
        peer
    }

    /// An acknowledgement of all that came, and the start of any other segment.
    pub fn ack(&self) -> Segment {
        Segment {
            ack: true,
            seq: self.seq,
            ack_number: self.next,
            window: WINDOW,
            ..Segment::new(self.me, self.server)
        }
    }

    /// Sends segments, all together; those that the server then sends to this peer.
    pub fn give(&self, server: &mut Server, segments: &[Segment]) -> Vec<Segment> {
        let sent = server.exchange(segments.iter().map(|segment| segment.frame(MAC, HARDWARE)));
        self.heard(server, sent)
    }

    /// The segments to this peer among the frames; the server learns who has its address.
    fn heard(&self, server: &mut Server, frames: Vec<Vec<u8>>) -> Vec<Segment> {
        let mut segments = Vec::new();
        for frame in frames {
            match wire::read(&frame) {
                Seen::Tcp(segment) if segment.target == self.me => segments.push(segment),
                Seen::ArpRequest(PEER) => {
                    let answer = wire::arp((PEER, MAC), (ADDRESS, HARDWARE));
                    let sent = server.exchange([answer]);
                    segments.extend(self.heard(server, sent));
                }
                _ => {}
            }
        }
        segments
    }

    /// Takes what the server has sent, in order; its content.
    fn take(&mut self, segments: Vec<Segment>) -> Vec<u8> {
        let mut content = Vec::new();
        for segment in segments {
            assert!(!segment.rst, "the server has reset the connection");
            if segment.seq == self.next {
                let len = segment.payload.len() as u32 + u32::from(segment.fin);
                self.next = self.next.wrapping_add(len);
                self.ended |= segment.fin;
                content.extend(segment.payload);
            }
        }
        content
    }

    /// Acknowledges what came; what comes then.
    pub fn listen(&mut self, server: &mut Server) -> Vec<u8> {
        let segments = self.give(server, &[self.ack()]);
        self.take(segments)
    }

    /// Sends bytes of one segment; what comes back.
    pub fn say(&mut self, server: &mut Server, bytes: &[u8]) -> Vec<u8> {
        let segment = Segment { payload: bytes.to_vec(), ..self.ack() };
        self.seq = self.seq.wrapping_add(bytes.len() as u32);
        let segments = self.give(server, &[segment]);
        self.take(segments)
    }

    /// All that comes until the server has no more.
    fn drain(&mut self, server: &mut Server) -> Vec<u8> {
        let mut content = Vec::new();
        while !self.ended {
            content.extend(self.listen(server));
        }
        content
    }

    /// Sends all of it, some segments at a time. The server's window is larger than those.
    fn pour(&mut self, server: &mut Server, content: &[u8]) {
        for burst in content.chunks(BURST * MSS) {
            let mut segments = Vec::new();
            for piece in burst.chunks(MSS) {
                segments.push(Segment { payload: piece.to_vec(), ..self.ack() });
                self.seq = self.seq.wrapping_add(piece.len() as u32);
            }
            let answers = self.give(server, &segments);
            self.take(answers);
        }
    }

    /// Ends its side; with that of the server, which may have ended before, the connection is
    /// over.
    pub fn close(mut self, server: &mut Server) {
        let fin = Segment { fin: true, ..self.ack() };
        self.seq = self.seq.wrapping_add(1);
        let answers = self.give(server, &[fin]);
        self.take(answers);
        while !self.ended {
            let sent = server.wait();
            let segments = self.heard(server, sent);
            self.take(segments);
        }
        self.give(server, &[self.ack()]);
    }
}

/// A control connection.
pub struct Session {
    pub control: Peer,
    text: Vec<u8>,
}

impl Session {
    pub fn log_in(server: &mut Server) -> Self {
        let mut session = Self { control: Peer::connect(server, FTP), text: Vec::new() };
        session.expect(server, "220");
        session.say(server, "USER anonymous", "331");
        session.say(server, "PASS bench@example.com", "230");
        session
    }

    /// Sends a line; its reply, which must begin with `code`.
    pub fn say(&mut self, server: &mut Server, line: &str, code: &str) -> String {
        let answer = self.control.say(server, format!("{line}\r\n").as_bytes());
        self.text.extend(answer);
        self.expect(server, code)
    }

    /// The next line from the server, which must begin with `code`.
    fn expect(&mut self, server: &mut Server, code: &str) -> String {
        let end = loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            let more = self.control.listen(server);
            if more.is_empty() {
                let sent = server.wait();
                let segments = self.control.heard(server, sent);
                self.text.extend(self.control.take(segments));
            }
            self.text.extend(more);
        };
        let line: Vec<u8> = self.text.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(line.starts_with(code), "not {code}: {line}");
        line
    }

    /// A data connection, for what the line says.
    fn open_data(&mut self, server: &mut Server, line: &str) -> Peer {
        let reply = self.say(server, "PASV", "227");
        let numbers = reply.split(['(', ')']).nth(1).unwrap();
        let numbers: Vec<u16> = numbers.split(',').map(|n| n.parse().unwrap()).collect();
        let data = Peer::connect(server, numbers[4] * 256 + numbers[5]);
        self.say(server, line, "150");
        data
    }

    pub fn retrieve(&mut self, server: &mut Server, line: &str) -> Vec<u8> {
        let mut data = self.open_data(server, line);
        let content = data.drain(server);
        data.close(server);
        self.expect(server, "226");
        content
    }

    pub fn store(&mut self, server: &mut Server, line: &str, content: &[u8]) {
        let mut data = self.open_data(server, line);
        data.pour(server, content);
        data.close(server);
        self.expect(server, "226");
    }
}
