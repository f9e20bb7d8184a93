//! What the kernel's TAP devices want and no crate has a safe way for. No other file has unsafe
//! code.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::ioctl::{Getter, IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};
use tun_tap::Iface;

use super::offload;

// linux/if_tun.h
const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);
const TUNGETFEATURES: Opcode = opcode::read::<c_uint>(b'T', 207);
const TUNSETOFFLOAD: Opcode = opcode::write::<c_uint>(b'T', 208);
const TUNSETVNETHDRSZ: Opcode = opcode::write::<c_int>(b'T', 216);
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const TUN_F_CSUM: usize = 0x01;
const TUN_F_TSO4: usize = 0x02;
const TUN_F_TSO6: usize = 0x04;

/// Bytes of a device's name, with a zero behind it (linux/if.h).
const NAME: usize = 16;

/// `struct ifreq` of linux/if.h, as TUNSETIFF wants it: the flags are one variant of a union, the
/// largest of which has 24 bytes.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME],
    flags: u16,
    rest: [u8; 22],
}

/// Opens the TAP device `name` with a header before each frame, for work that the kernel leaves
/// to us and we to it. A kernel that cannot do so is [`ErrorKind::Unsupported`].
pub fn open_offloading(name: &str) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let fd: OwnedFd = options.open("/dev/net/tun")?.into();
    // SAFETY: TUNGETFEATURES writes an unsigned int.
    let features = unsafe { ioctl(&fd, Getter::<TUNGETFEATURES, c_uint>::new()) }?;
    if features & c_uint::from(IFF_VNET_HDR) == 0 {
        return Err(ErrorKind::Unsupported.into());
    }
    attach(&fd, name)?;
    let header = offload::HEADER_LEN as c_int;
    // SAFETY: TUNSETVNETHDRSZ reads an int.
    unsafe { ioctl(&fd, Setter::<TUNSETVNETHDRSZ, c_int>::new(header)) }?;
    let wanted = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    set_offload(&fd, wanted).map_err(|_| io::Error::from(ErrorKind::Unsupported))?;
    Ok(fd)
}

fn attach(fd: &OwnedFd, name: &str) -> io::Result<()> {
    let mut request = InterfaceRequest {
        name: [0; NAME],
        flags: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
        rest: [0; 22],
    };
    let (room, name) = (&mut request.name[..NAME - 1], name.as_bytes());
    let room = room.get_mut(..name.len()).ok_or(ErrorKind::InvalidInput)?;
    room.copy_from_slice(name);
    // SAFETY: TUNSETIFF reads a `struct ifreq`, and writes one back.
    Ok(unsafe { ioctl(fd, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) }?)
}

/// The descriptor of a device that `tun-tap` has opened, which gives frames and takes them as they
/// are on the wire. Whoever had the device before may have wanted it otherwise.
pub fn without_offload(iface: Iface) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and from here on it is ours alone.
    let fd = unsafe { OwnedFd::from_raw_fd(iface.into_raw_fd()) };
    end_offload(&fd)?;
    Ok(fd)
}

/// From here on, frames are as they are on the wire.
pub fn end_offload(fd: &OwnedFd) -> io::Result<()> {
    set_offload(fd, 0)
}

/// Which of its work the kernel may leave to us.
fn set_offload(fd: impl AsFd, flags: usize) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes an integer and no pointer.
    Ok(unsafe { ioctl(fd, IntegerSetter::<TUNSETOFFLOAD>::new_usize(flags)) }?)
}
