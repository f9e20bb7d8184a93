//! The memory that the core works in: allocated once, never given back.

use std::mem::MaybeUninit;

use tinyftp::ftp::Codec;
use tinyftp::net::{Bucket, Buffers, Memory, Outbox, Slot, Timer};
use tinyftp::storage::Path;
use tinyftp::storage::ram::{BLOCK_SIZE, Block, Node, RamDisk};
use tinyftp::time::Timestamp;

use super::zlib::Oxide;

/// Bytes of the receive buffer of a connection to a service: the longest line comes in two parts.
const CONTROL_RECEIVE: usize = 512;
/// Bytes of its transmit buffer: the longest reply, and others that wait to be acknowledged.
const CONTROL_TRANSMIT: usize = 1536;

/// Bytes of each buffer of a connection to echo and the like.
const BULK_BUFFER: usize = 256 * 1024;

/// Bytes of the longest message over UDP: what a frame of the largest MTU holds.
const MESSAGE: usize = 64 * 1024;

/// `count` values for the rest of the program's life.
pub fn lend<T>(count: usize, value: impl FnMut() -> T) -> &'static mut [T] {
    std::iter::repeat_with(value).take(count).collect::<Vec<T>>().leak()
}

/// `count` zero bytes; pages that are never used stay with the kernel.
fn bytes(count: usize) -> Result<&'static mut [u8], String> {
    // Asked first, because `vec!` ends the program.
    let asked = Vec::<u8>::new().try_reserve_exact(count);
    asked.map_err(|_| format!("there is no memory for {count} bytes of buffers"))?;
    Ok(vec![0; count].leak())
}

/// Memory for `control` connections to services, `bulk` to those with larger buffers, and `data`
/// data connections, each of which has `data_buffer` bytes for what it receives, and as many for
/// what it sends.
pub fn network(
    (control, bulk, data): (usize, usize, usize),
    data_buffer: usize,
) -> Result<Memory<'static>, String> {
    let slots = control + bulk + data;
    Ok(Memory {
        control,
        bulk,
        slots: lend(slots, Slot::default),
        // One more for DHCP.
        sockets: lend(slots + 1, Default::default),
        timers: lend(slots, Timer::default),
        buckets: lend(2 * slots + 2 * data, Bucket::default),
        control_buffers: Buffers {
            receive: bytes(control * CONTROL_RECEIVE)?,
            transmit: bytes(control * CONTROL_TRANSMIT)?,
        },
        bulk_buffers: Buffers {
            receive: bytes(bulk * BULK_BUFFER)?,
            transmit: bytes(bulk * BULK_BUFFER)?,
        },
        data_buffers: Buffers {
            receive: bytes(data * data_buffer)?,
            transmit: bytes(data * data_buffer)?,
        },
        message: bytes(MESSAGE)?,
        outbox: Outbox::default(),
    })
}

/// Memory for `count` values to come; pages that are never used stay with the kernel.
pub fn room<T>(count: usize) -> &'static mut [MaybeUninit<T>] {
    Box::leak(Box::new_uninit_slice(count))
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
