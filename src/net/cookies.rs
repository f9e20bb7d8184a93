//! More requests for connections at once than may have a slot: SYN cookies (RFC 4987 section 3.6).
//!
//! The sequence number of the answer is made of the request and of our secret, and nothing is kept
//! of either. Whoever acknowledges it has received it: he did not make his address up, and gets a
//! slot then. So a flood of requests from made-up addresses takes nothing away from those who mean
//! theirs. What the options of the request said is lost: such a connection does without them. And
//! if the acknowledgment is lost, nobody asks for it again: the client has to speak first, or
//! waits in vain. So cookies are for those who would get nothing else.

use smoltcp::phy::{ChecksumCapabilities, TxToken};
use smoltcp::wire::{
    EthernetFrame, EthernetRepr, IpEndpoint, IpProtocol, IpRepr, TCP_HEADER_LEN, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::demux::Arrival;
use super::device::{Exit, Shim};
use super::frame::Segment;
use super::index::Tuple;
use super::slots::{Kind, Role};
use super::{Binding, Net, instant};
use crate::time::{Duration, Instant};

/// How long a cookie counts at least; at most it is twice as long.
const LIFE: Duration = Duration::from_secs(32);
/// What any packet may have between its ends.
const HOP_LIMIT: u8 = 64;
/// Bytes of a request without options, at most.
const SYN_MAX: usize = 60;

impl Net<'_> {
    /// Answers a request without a slot for it.
    pub(super) fn hand_out_cookie(&mut self, kind: Kind, arrival: Arrival<'_, impl TxToken>) {
        let Arrival { segment, frame, answer, now } = arrival;
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return };
        let header = EthernetRepr {
            src_addr: self.hardware,
            dst_addr: frame.src_addr(),
            ethertype: frame.ethertype(),
        };
        let Tuple { local, remote } = segment.tuple;
        let cookie = self.secret.cookie(&segment.tuple, segment.sequence, period(now));
        let first = if kind == Kind::Bulk { self.control - self.bulk } else { 0 };
        let room = self.slots.get(first).map_or(0, |slot| slot.socket().recv_capacity());
        let reply = Packet::new(local, remote, |header_len| TcpRepr {
            seq_number: number(cookie),
            ack_number: Some(number(segment.sequence.wrapping_add(1))),
            window_len: saturate(room),
            max_seg_size: Some(saturate(self.capabilities.ip_mtu().saturating_sub(header_len))),
            ..SYN
        });
        self.cookies_until = now + 2 * LIFE;
        let answer = Exit::Framed(answer, &header);
        answer.consume(reply.len(), |packet| reply.emit(packet, &self.capabilities.checksum));
    }

    /// A segment that belongs to no connection: if it acknowledges a cookie, there is one now.
    pub(super) fn redeem<T: TxToken>(&mut self, arrival: Arrival<'_, T>, services: &[Binding<'_>]) {
        let (segment, now) = (arrival.segment, arrival.now);
        let service = self.service_for(&segment.tuple, services);
        let service = service.filter(|_| self.is_redeemable(&segment, now));
        let Some(service) = service else { return self.refuse(arrival) };
        let kind = self.kind_for(service, services);
        let Some(at) = self.take_any(kind) else { return self.refuse(arrival) };
        self.replay::<T>(at, Role::HalfOpen { service }, &segment, now);
        self.feed(at, arrival);
    }

    /// Whether a segment acknowledges a cookie, and one that is not too old.
    pub(super) fn is_redeemable(&self, segment: &Segment, now: Instant) -> bool {
        if now >= self.cookies_until || segment.syn || segment.rst || !segment.ack {
            return false;
        }
        let ((isn, irs), this) = (numbers(segment), period(now));
        let is_of = |period| self.secret.cookie(&segment.tuple, irs, period) == isn;
        is_of(this) || is_of(this.wrapping_sub(1))
    }

    /// Has the socket of a slot live through the request that is acknowledged now, and the answer
    /// to it.
    fn replay<T: TxToken>(&mut self, at: u16, role: Role, segment: &Segment, now: Instant) {
        let Tuple { local, remote } = segment.tuple;
        let (isn, irs) = numbers(segment);
        let syn = Packet::new(remote, local, |_| TcpRepr { seq_number: number(irs), ..SYN });
        let mut buffer = [0; SYN_MAX];
        let Some(packet) = buffer.get_mut(..syn.len()) else { return };
        syn.emit(packet, &ChecksumCapabilities::default());
        let capabilities = self.packet_capabilities();
        let mut iface = self.packet_interface(isn, &capabilities, now);
        self.prepare(at, role, &segment.tuple, (isn, irs), now);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let mut shim = Shim::<T>::received(packet, Exit::Nowhere, &capabilities);
        iface.poll_ingress_single(instant(now), &mut shim, &mut slot.sockets);
        let mut shim = Shim::<T>::nowhere(&capabilities);
        iface.poll_egress(instant(now), &mut shim, &mut slot.sockets);
    }

    /// A slot for somebody who means it: if none is free, that of the request that has waited for
    /// longest.
    fn take_any(&mut self, kind: Kind) -> Option<u16> {
        if let Some(slot) = self.take(kind) {
            return Some(slot);
        }
        let oldest = self.half_open.of(kind).pop(self.slots)?;
        self.release(oldest);
        self.take(kind)
    }
}

/// Cookies of one period are made alike.
fn period(now: Instant) -> u64 {
    now.as_micros() / LIFE.as_micros() as u64
}

/// Our initial sequence number and the peer's, if this is the first segment after the request.
fn numbers(segment: &Segment) -> (u32, u32) {
    (segment.acknowledgment.wrapping_sub(1), segment.sequence.wrapping_sub(1))
}

fn number(sequence: u32) -> TcpSeqNumber {
    TcpSeqNumber(sequence as i32)
}

fn saturate(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// A request for a connection, without its ports and numbers.
const SYN: TcpRepr<'static> = TcpRepr {
    src_port: 0,
    dst_port: 0,
    control: TcpControl::Syn,
    seq_number: TcpSeqNumber(0),
    ack_number: None,
    window_len: u16::MAX,
    window_scale: None,
    max_seg_size: None,
    sack_permitted: false,
    sack_ranges: [None; 3],
    timestamp: None,
    payload: &[],
};

/// A segment in its packet.
struct Packet {
    ip: IpRepr,
    tcp: TcpRepr<'static>,
}

impl Packet {
    /// Between these ends; `write` is told how long the headers are.
    fn new(
        from: IpEndpoint,
        to: IpEndpoint,
        write: impl FnOnce(usize) -> TcpRepr<'static>,
    ) -> Self {
        let mut ip = IpRepr::new(from.addr, to.addr, IpProtocol::Tcp, 0, HOP_LIMIT);
        let tcp = write(ip.header_len() + TCP_HEADER_LEN);
        let tcp = TcpRepr { src_port: from.port, dst_port: to.port, ..tcp };
        ip.set_payload_len(tcp.buffer_len());
        Self { ip, tcp }
    }

    fn len(&self) -> usize {
        self.ip.buffer_len()
    }

    fn emit(&self, packet: &mut [u8], checksums: &ChecksumCapabilities) {
        let (source, destination) = (self.ip.src_addr(), self.ip.dst_addr());
        let Some((header, segment)) = packet.split_at_mut_checked(self.ip.header_len()) else {
            return;
        };
        self.ip.emit(header, checksums);
        let segment = &mut TcpPacket::new_unchecked(segment);
        self.tcp.emit(segment, &source, &destination, checksums);
    }
}
