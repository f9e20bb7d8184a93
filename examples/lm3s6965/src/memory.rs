//! The memory that the core works in, and how much of it: statics, each lent once.

use tinyftp::auth::Accounts;
use tinyftp::ftp::Ftp;
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::time::Instant;

use crate::ethernet::Mac;
use crate::flash::Flash;
use crate::lent::Lent;

/// Echo sessions at once.
const ECHO_SESSIONS: usize = 1;
/// Bytes of the longest command line and of the longest path.
const LINE: usize = 128;

tinyftp::resources! {
    /// All that the network and FTP work in.
    pub type Resources = {
        storage: Disk,
        sessions: 2,
        // As many as there are places: one more, to say that there are too many.
        desks: 3,
        transfers: 2,
        others: ECHO_SESSIONS,
        line: LINE,
        // The longest line in one piece; the longest reply, and a short one that waits to be
        // acknowledged.
        control: (2 * LINE, FtpService::REPLY_MAX + 128),
        // Two full segments, and a bit.
        data: (3 * 1024, 3 * 1024),
    };
}

// What the README of the project says. Who chooses other sizes takes it out.
const _: () = assert!(Resources::SIZE <= 22_520, "the README says less: it, or this, is to change");
const _: () = assert!(Resources::SESSION <= 1_968 && Resources::DESK <= 552);
const _: () = assert!(Resources::TRANSFER <= 6_680);

/// Files and directories, and uploads under way.
const NODES: usize = 24;
/// 14 KiB.
const BLOCKS: usize = 28;

/// Where the files are.
pub type Disk = Flash<RamDisk<'static>>;
/// The FTP service.
pub type FtpService = Ftp<'static, Disk, Accounts<'static>, LINE>;

/// What the network and FTP work in.
pub static RESOURCES: Lent<Resources> = Lent::new(Resources::EMPTY);
/// The Ethernet MAC.
pub static MAC: Lent<Mac> = Lent::new(Mac::NEW);
/// What echo sessions are in.
pub static ECHO: Lent<[Option<Instant>; ECHO_SESSIONS]> = Lent::new([None; ECHO_SESSIONS]);

/// An empty disk.
pub fn disk() -> RamDisk<'static> {
    static NODE: Lent<[Node; NODES]> = Lent::new([const { Node::EMPTY }; NODES]);
    static BLOCK: Lent<[Block; BLOCKS]> = Lent::new([const { Block::EMPTY }; BLOCKS]);
    RamDisk::new(NODE.lend(), BLOCK.lend())
}
