//! The TAP device as a [`Device`]: one frame a system call.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::ETHERNET_HEADER_LEN;
use tun_tap::{Iface, Mode};

/// The MTU of a device that does not tell its own.
const DEFAULT_MTU: usize = 1500;

/// A TAP device.
pub struct Tap {
    iface: Iface,
    mtu: usize,
    received: Vec<u8>,
    sending: Vec<u8>,
    error: Option<io::Error>,
}

impl Tap {
    /// Opens the TAP device `name` of this network namespace.
    pub fn open(name: &str) -> Result<Self, String> {
        // Opening a device that is not there would make one, without an address and down.
        if !exists(name) {
            return Err(format!(
                "there is no network device {name} here: make it with scripts/setup-tap.sh --tap {name}"
            ));
        }
        let iface =
            Iface::without_packet_info(name, Mode::Tap).map_err(|error| explain(name, &error))?;
        iface.set_non_blocking().map_err(|error| explain(name, &error))?;
        let mtu = mtu(name);
        let frame = mtu + ETHERNET_HEADER_LEN;
        Ok(Self { iface, mtu, received: vec![0; frame], sending: vec![0; frame], error: None })
    }

    /// The error that ended the device, if one did.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.error.take()
    }
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
    let errno = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    match (error.kind(), errno) {
        (ErrorKind::PermissionDenied, _) => format!(
            "no permission to use {name}: run as root, or give it to your user with \
             scripts/setup-tap.sh --user NAME (and let that user open /dev/net/tun)"
        ),
        (ErrorKind::NotFound, _) => {
            "there is no /dev/net/tun: the kernel needs its tun module (modprobe tun)".into()
        }
        (_, Some(rustix::io::Errno::BUSY)) => {
            format!("{name} is in use: does another tinyftp run on it?")
        }
        (_, Some(rustix::io::Errno::INVAL)) => {
            format!("{name} is not a TAP device: choose another name with --tap")
        }
        _ => format!("{name} cannot be opened: {error}"),
    }
}

impl AsFd for Tap {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `iface` is, which `self` owns. tun-tap was
        // written before the standard library had a safe way to lend a descriptor.
        unsafe { BorrowedFd::borrow_raw(self.iface.as_raw_fd()) }
    }
}

impl Device for Tap {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        match self.iface.recv(&mut self.received) {
            Ok(len) => {
                let frame = self.received.get(..len)?;
                let sending = Sending {
                    iface: &self.iface,
                    buffer: &mut self.sending,
                    error: &mut self.error,
                };
                Some((Received(frame), sending))
            }
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                    self.error = Some(error);
                }
                None
            }
        }
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending { iface: &self.iface, buffer: &mut self.sending, error: &mut self.error })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + ETHERNET_HEADER_LEN;
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
    iface: &'a Iface,
    buffer: &'a mut [u8],
    error: &'a mut Option<io::Error>,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.buffer[..len];
        let result = f(frame);
        match self.iface.send(frame) {
            // A frame that the kernel has no room for, or that a device drops which is down,
            // is lost like any other: TCP sends it again.
            Err(error) if is_fatal(&error) => *self.error = Some(error),
            _ => {}
        }
        result
    }
}

fn is_fatal(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    !matches!(errno, Some(Errno::AGAIN | Errno::INTR | Errno::IO | Errno::NOBUFS | Errno::NOMEM))
}
