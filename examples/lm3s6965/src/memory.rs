//! The memory that the core works in: statics, each lent once.

use core::mem::MaybeUninit;

use tinyftp::auth::Accounts;
use tinyftp::ftp::{Desk, Ftp, Session};
use tinyftp::net::smoltcp::iface::SocketStorage;
use tinyftp::net::{Bucket, Buffers, Memory, Outbox, Slot, Timer};
use tinyftp::storage::Storage;
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::time::Instant;

use crate::ethernet::Mac;
use crate::flash::Flash;
use crate::lent::Lent;

/// FTP sessions at once.
pub const FTP_SESSIONS: usize = 2;
/// One more, to say that there are too many.
const FTP_PLACES: usize = FTP_SESSIONS + 1;
/// Echo sessions at once.
const ECHO_SESSIONS: usize = 1;

/// Bytes of the longest command line and of the longest path.
const LINE_MAX: usize = 128;

const CONTROL_SLOTS: usize = FTP_PLACES + ECHO_SESSIONS;
/// Each FTP session may have a transfer.
const DATA_SLOTS: usize = FTP_SESSIONS;
const SLOTS: usize = CONTROL_SLOTS + DATA_SLOTS;

/// The longest line comes in one piece.
const CONTROL_RECEIVE: usize = 256;
/// Bytes of the longest reply, and of a short one that waits to be acknowledged.
const CONTROL_TRANSMIT: usize = FtpService::REPLY_MAX + 128;
/// Two full segments, and a bit.
const DATA_BUFFER: usize = 3 * 1024;

/// Files and directories, and uploads under way.
const NODES: usize = 24;
/// 14 KiB.
const BLOCKS: usize = 28;

/// Where the files are.
pub type Disk = Flash<RamDisk<'static>>;
/// The FTP service.
pub type FtpService = Ftp<'static, Disk, Accounts<'static>, LINE_MAX>;
type Job = <Disk as Storage>::Job;

/// The Ethernet MAC.
pub fn mac() -> &'static mut Mac {
    static MAC: Lent<Mac> = Lent::new(Mac::NEW);
    MAC.lend()
}

/// What the network works in.
pub fn network() -> Memory<'static> {
    static SLOT: Lent<MaybeUninit<[Slot<'static>; SLOTS]>> = Lent::new(MaybeUninit::uninit());
    static SOCKETS: Lent<[SocketStorage<'static>; SLOTS]> =
        Lent::new([const { SocketStorage::EMPTY }; SLOTS]);
    static TIMERS: Lent<[Timer; SLOTS]> = Lent::new([const { Timer::NONE }; SLOTS]);
    static BUCKETS: Lent<[Bucket; 2 * SLOTS]> = Lent::new([const { Bucket::EMPTY }; 2 * SLOTS]);
    static CONTROL_IN: Lent<[u8; CONTROL_SLOTS * CONTROL_RECEIVE]> = bytes();
    static CONTROL_OUT: Lent<[u8; CONTROL_SLOTS * CONTROL_TRANSMIT]> = bytes();
    static DATA_IN: Lent<[u8; DATA_SLOTS * DATA_BUFFER]> = bytes();
    static DATA_OUT: Lent<[u8; DATA_SLOTS * DATA_BUFFER]> = bytes();
    Memory {
        control: CONTROL_SLOTS,
        bulk: 0,
        slots: SLOT.lend().write(Default::default()),
        sockets: SOCKETS.lend(),
        timers: TIMERS.lend(),
        buckets: BUCKETS.lend(),
        control_buffers: Buffers { receive: CONTROL_IN.lend(), transmit: CONTROL_OUT.lend() },
        bulk_buffers: Buffers::default(),
        data_buffers: Buffers { receive: DATA_IN.lend(), transmit: DATA_OUT.lend() },
        // No service over UDP.
        message: &mut [],
        outbox: Outbox::default(),
    }
}

/// What FTP sessions are in.
pub fn sessions() -> &'static mut [Session<'static, Job, LINE_MAX>] {
    static SESSIONS: Lent<MaybeUninit<[Session<'static, Job, LINE_MAX>; FTP_PLACES]>> =
        Lent::new(MaybeUninit::uninit());
    SESSIONS.lend().write(Default::default())
}

/// Where they work.
pub fn desks() -> &'static mut [MaybeUninit<Desk<'static, Job, LINE_MAX>>] {
    static DESKS: Lent<[MaybeUninit<Desk<'static, Job, LINE_MAX>>; FTP_PLACES]> =
        Lent::new([const { MaybeUninit::uninit() }; FTP_PLACES]);
    DESKS.lend()
}

/// What echo sessions are in.
pub fn echo_sessions() -> &'static mut [Option<Instant>] {
    static SESSIONS: Lent<[Option<Instant>; ECHO_SESSIONS]> = Lent::new([None; ECHO_SESSIONS]);
    SESSIONS.lend()
}

/// An empty disk.
pub fn disk() -> RamDisk<'static> {
    static NODE: Lent<[Node; NODES]> = Lent::new([const { Node::EMPTY }; NODES]);
    static BLOCK: Lent<[Block; BLOCKS]> = Lent::new([const { Block::EMPTY }; BLOCKS]);
    RamDisk::new(NODE.lend(), BLOCK.lend())
}

const fn bytes<const N: usize>() -> Lent<[u8; N]> {
    Lent::new([0; N])
}
