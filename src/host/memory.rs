//! The memory that the core works in: allocated once, never given back.

use tinyftp::ftp::Codec;
use tinyftp::net::{Bucket, Buffers, Memory, Outbox, Slot, Timer};
use tinyftp::storage::Path;
use tinyftp::storage::ram::{BLOCK_SIZE, Block, Node, RamDisk};
use tinyftp::time::Timestamp;

use super::zlib::Oxide;

/// Bytes of the receive and of the transmit buffer of a connection to a service.
const CONTROL_BUFFER: usize = 2 * 1024;
/// Bytes of the receive buffer of a data connection.
const DATA_RECEIVE: usize = 256 * 1024;
/// Bytes of the transmit buffer of a data connection.
const DATA_TRANSMIT: usize = 512 * 1024;

/// Bytes of the longest message over UDP: what a frame of the largest MTU holds.
const MESSAGE: usize = 64 * 1024;

/// `count` values for the rest of the program's life.
pub fn lend<T>(count: usize, value: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(value).take(count).collect::<Vec<T>>().leak()
}

/// `count` zero bytes; pages that are never used stay with the kernel.
fn bytes(count: usize) -> &'static mut [u8] {
    vec![0; count].leak()
}

/// Memory for `control` connections to services and `data` data connections.
pub fn network(control: usize, data: usize) -> Memory<'static> {
    let slots = control + data;
    Memory {
        control,
        slots: lend(slots, Slot::default),
        // One more for DHCP.
        sockets: lend(slots + 1, Default::default),
        timers: lend(slots, || Timer::NONE),
        buckets: lend(2 * slots, || Bucket::EMPTY),
        control_buffers: Buffers {
            receive: bytes(control * CONTROL_BUFFER),
            transmit: bytes(control * CONTROL_BUFFER),
        },
        data_buffers: Buffers {
            receive: bytes(data * DATA_RECEIVE),
            transmit: bytes(data * DATA_TRANSMIT),
        },
        message: bytes(MESSAGE),
        outbox: Outbox::default(),
    }
}

/// What `count` sessions in MODE Z compress with.
pub fn codecs(count: usize) -> &'static mut [Codec] {
    lend(count, || Codec::new(Box::leak(Box::new(Oxide::new()))))
}

/// Blocks of the disk in memory: 16 MiB.
const DISK_BLOCKS: usize = 16 * 1024 * 1024 / BLOCK_SIZE;
/// Files and directories that it holds.
const DISK_NODES: usize = 8 * 1024;

const README: &[u8] = b"\
This is tinyftp, an FTP and echo server with a network stack of its own.

What you see is a disk of 16 MiB in the memory of the server: store what you like, it is gone
when the server stops. Serve a directory instead with --root DIR.
";

/// A disk in memory, with something on it to be seen.
pub fn disk(now: Timestamp) -> RamDisk<'static> {
    let nodes = lend(DISK_NODES, || Node::EMPTY);
    let blocks = lend(DISK_BLOCKS, || Block::EMPTY);
    let mut disk = RamDisk::new(nodes, blocks);
    if let Some(path) = Path::new(b"/README.txt") {
        // There is room on an empty disk.
        let _ = disk.insert(path, README, now);
    }
    disk
}
