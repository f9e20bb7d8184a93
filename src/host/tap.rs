//! The TAP device as a [`Device`]: one frame a system call. With offload, the kernel computes and
//! verifies checksums of TCP and UDP, or leaves them out where no wire is, and a frame may have
//! 64 KiB: it cuts those that we send into segments, and merges those that it gives us.

use std::fs;
use std::io::{self, ErrorKind};
use std::num::{NonZeroU16, NonZeroUsize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, read, write};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::ETHERNET_HEADER_LEN;
use tun_tap::{Iface, Mode};

use super::{offload, sys};

/// The MTU of a device that does not tell its own.
const DEFAULT_MTU: usize = 1500;
/// Bytes of the longest frame with offload: IP cannot tell of a longer packet.
const LONGEST_FRAME: usize = u16::MAX as usize + ETHERNET_HEADER_LEN;
/// Frames with a wrong checksum that are thrown away in one go.
const BROKEN_AT_ONCE: usize = 64;

/// A TAP device.
pub struct Tap {
    fd: OwnedFd,
    mtu: usize,
    /// Bytes before each frame, in the buffers too: the header of offload, or none.
    header: usize,
    received: Vec<u8>,
    sending: Vec<u8>,
    error: Option<io::Error>,
}

impl Tap {
    /// Opens the TAP device `name` of this network namespace, with offload or without; if that is
    /// not said, with it if the kernel has it.
    pub fn open(name: &str, offload: Option<bool>) -> Result<Self, String> {
        // Opening a device that is not there would make one, without an address and down.
        if !exists(name) {
            return Err(format!(
                "there is no network device {name} here: make it with scripts/setup-tap.sh --tap {name}"
            ));
        }
        let (fd, offloads) = attach(name, offload).map_err(|error| explain(name, &error))?;
        let mtu = mtu(name);
        let header = if offloads { offload::HEADER_LEN } else { 0 };
        let longest = if offloads { LONGEST_FRAME } else { mtu + ETHERNET_HEADER_LEN };
        let buffer = || vec![0; header + longest];
        Ok(Self { fd, mtu, header, received: buffer(), sending: buffer(), error: None })
    }

    /// Whether the kernel takes work from us.
    pub fn offloads(&self) -> bool {
        self.header > 0
    }

    /// The error that ended the device, if one did.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Reads frames until one is whole; how long it is, with its header. `None`: there is none, or
    /// none has come for a while that was whole.
    fn read(&mut self) -> Option<usize> {
        for _ in 0..BROKEN_AT_ONCE {
            match read(&self.fd, &mut self.received[..]) {
                Ok(len) => {
                    let (header, frame) =
                        self.received.get(..len)?.split_at_checked(self.header)?;
                    if !self.offloads() || offload::is_whole(header, frame) {
                        return Some(len);
                    }
                }
                Err(errno) => {
                    note(&mut self.error, errno);
                    return None;
                }
            }
        }
        None
    }

    /// What is received, and what sends.
    fn halves(&mut self) -> (&[u8], Sending<'_>) {
        let Self { fd, header, received, sending, error, .. } = self;
        let sending = Sending { fd, header: *header, buffer: sending, segment: None, error };
        (received, sending)
    }
}

/// The device outlives us, and whoever has it next may not know of offload.
impl Drop for Tap {
    fn drop(&mut self) {
        if self.offloads() {
            let _ = sys::end_offload(&self.fd);
        }
    }
}

/// Opens the device; whether with offload.
fn attach(name: &str, offload: Option<bool>) -> io::Result<(OwnedFd, bool)> {
    if offload != Some(false) {
        match sys::open_offloading(name) {
            Err(error) if error.kind() == ErrorKind::Unsupported && offload.is_none() => {}
            result => return Ok((result?, true)),
        }
    }
    let iface = Iface::without_packet_info(name, Mode::Tap)?;
    iface.set_non_blocking()?;
    Ok((sys::without_offload(iface)?, false))
}

/// Whether this network namespace has a device of that name.
fn exists(name: &str) -> bool {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    devices.lines().any(|line| line.split(':').next().is_some_and(|field| field.trim() == name))
}

/// The MTU of the device. What /proc/sys shows is of this network namespace; /sys may be of
/// another, but knows MTUs below 1280, which IPv6 does not.
fn mtu(name: &str) -> usize {
    let paths =
        [format!("/proc/sys/net/ipv6/conf/{name}/mtu"), format!("/sys/class/net/{name}/mtu")];
    let read = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
    paths.iter().find_map(read).unwrap_or(DEFAULT_MTU)
}

fn explain(name: &str, error: &io::Error) -> String {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match (error.kind(), errno) {
        (ErrorKind::PermissionDenied, _) => format!(
            "no permission to use {name}: run as root, or give it to your user with \
             scripts/setup-tap.sh --user NAME (and let that user open /dev/net/tun)"
        ),
        (ErrorKind::NotFound, _) => {
            "there is no /dev/net/tun: the kernel needs its tun module (modprobe tun)".into()
        }
        (ErrorKind::Unsupported, _) => {
            format!("the kernel has no offload for {name}: leave out --offload on")
        }
        (_, Some(Errno::BUSY)) => {
            format!("{name} is in use: does another tinyftp run on it?")
        }
        (_, Some(Errno::INVAL)) => {
            format!("{name} is not a TAP device: choose another name with --tap")
        }
        _ => format!("{name} cannot be opened: {error}"),
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Device for Tap {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let (begin, end) = (self.header, self.read()?);
        let (received, sending) = self.halves();
        Some((Received(received.get(begin..end)?), sending))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(self.halves().1)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + ETHERNET_HEADER_LEN;
        if self.offloads() {
            capabilities.checksum.tcp = Checksum::None;
            // The kernel verifies it; to let it be computed is not worth while.
            capabilities.checksum.udp = Checksum::Tx;
            // Not IPv6: smoltcp 0.14.0 loses what is longer than the MTU.
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(LONGEST_FRAME);
        }
        capabilities
    }
}

/// A frame that was received.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A frame that may be sent.
pub struct Sending<'a> {
    fd: &'a OwnedFd,
    /// Bytes before the frame.
    header: usize,
    buffer: &'a mut [u8],
    /// Bytes of payload of each segment, if it is more than one.
    segment: Option<NonZeroU16>,
    error: &'a mut Option<io::Error>,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let buffer = &mut self.buffer[..self.header + len];
        let (header, frame) = buffer.split_at_mut(self.header);
        let result = f(frame);
        if !header.is_empty() {
            offload::delegate(header, frame, self.segment.map(NonZeroU16::get));
        }
        if let Err(errno) = write(self.fd, buffer) {
            note(self.error, errno);
        }
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}

/// Remembers the errors that end a device. A frame that the kernel has no room for, or that a
/// device drops which is down, is lost like any other: TCP sends it again.
fn note(error: &mut Option<io::Error>, errno: Errno) {
    let loses_frame = matches!(
        errno,
        Errno::AGAIN | Errno::INTR | Errno::INVAL | Errno::IO | Errno::NOBUFS | Errno::NOMEM
    );
    if !loses_frame {
        *error = Some(errno.into());
    }
}
