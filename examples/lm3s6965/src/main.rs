//! tinyftp on a microcontroller: a Cortex-M3 with 64 KiB of RAM and an Ethernet MAC, the LM3S6965.
//!
//! Two FTP sessions with a transfer each and an echo session go at once. `scripts/run-qemu.sh`
//! runs it; the files are:
//!
//! | file | what it is |
//! |---|---|
//! | `main` | the service table and the loop |
//! | `memory` | what the core is lent, and how much of it |
//! | `flash` | files that are always there |
//! | `ethernet`, `clock`, `uart` | drivers |
//! | `chip` | registers |
//! | `lent` | statics that are lent once |
//! | `start` | from reset to `main` |
#![no_std]
#![no_main]

mod chip;
mod clock;
mod ethernet;
mod flash;
mod lent;
mod memory;
mod start;
mod uart;

use core::fmt::Write;
use core::panic::PanicInfo;

use log::info;
use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::ftp::{self, Ftp};
use tinyftp::net::smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use tinyftp::net::{Address, Binding, Config, Net};
use tinyftp::services::echo::Echo;
use tinyftp::services::simple::Simple;
use tinyftp::storage::{Op, Path, Storage};
use tinyftp::time::{Duration, Instant, Timestamp};

use clock::Clock;
use ethernet::Mac;
use flash::{DIRECTORY, File, Flash};
use memory::{Disk, FtpService};
use uart::Uart;

const ADDRESS: IpCidr = IpCidr::new(IpAddress::v4(192, 168, 69, 1), 24);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// In the order of their names.
static FILES: [File; 2] = [
    File { name: "CHANGELOG.md", content: include_bytes!("../../../CHANGELOG.md") },
    File { name: "README.txt", content: include_bytes!("../files/README.txt") },
];

/// Called when RAM is as it should be (`start`).
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    chip::start();
    uart::start();
    let mut clock = Clock::start();
    let mac = memory::mac();
    let mut net = network(mac, &mut clock);
    let mut ftp = ftp();
    let mut echo = Simple::new(Echo, memory::echo_sessions(), IDLE_TIMEOUT);
    let mut services = [Binding::tcp("ftp", 21, &mut ftp), Binding::tcp("echo", 7, &mut echo)];
    let mut depth = Depth::default();
    loop {
        let due = net.poll(mac, &mut services, clock.now());
        depth.note(clock.now());
        wait(mac, &mut clock, due);
    }
}

/// Sets the network up, when there is a sign of life on the wire.
fn network(mac: &mut Mac, clock: &mut Clock) -> Net<'static> {
    let hardware = chip::hardware_address();
    mac.start(hardware);
    info!("tinyftp is at {ADDRESS}, {}", EthernetAddress(hardware));
    let config = Config {
        hardware: EthernetAddress(hardware),
        addresses: &[Address::Fixed(ADDRESS)],
        routes: &[],
        host_name: None,
        passive_ports: 49_152..=65_535,
        seed: seed(hardware, mac, clock),
    };
    Net::new(&config, memory::network(), mac, clock.now()).expect("this can be set up")
}

/// What this chip has that nobody can know: when its first frame came, to a cycle. That is worth
/// some 20 bits to whoever is far away and little to a neighbor, who can send that frame: a board
/// with a source of random numbers should use it here.
fn seed([a, b, c, d, e, f]: [u8; 6], mac: &Mac, clock: &mut Clock) -> u128 {
    wait(mac, clock, None);
    let hardware = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    u128::from(hardware) << 64 | u128::from(clock.cycles())
}

/// Anybody may do anything.
fn ftp() -> FtpService {
    let anonymous = Some(Account::anonymous(Grant::new(Rights::ALL)));
    let accounts = Accounts { accounts: &mut [], anonymous };
    let config = ftp::Config {
        max_sessions: memory::FTP_SESSIONS,
        idle_timeout: IDLE_TIMEOUT,
        ..ftp::Config::default()
    };
    Ftp::new(storage(), accounts, config, memory::sessions(), memory::desks())
}

/// The disk in RAM, with the files in flash in a directory of theirs.
fn storage() -> Disk {
    let mut disk = memory::disk();
    if let Some(path) = Path::new(DIRECTORY.as_bytes()) {
        // This disk makes it at once.
        let made = disk.start(Op::MakeDirectory { path, mode: 0o755 }, Timestamp(0));
        made.expect("there is room on an empty disk");
    }
    Flash::new(disk, &FILES)
}

/// Sleeps until there is a frame, or until then.
fn wait(mac: &Mac, clock: &mut Clock, due: Option<Instant>) {
    while due.is_none_or(|due| clock.now() < due) {
        let has_frame = chip::without_interrupts(|| {
            let has_frame = mac.has_frame();
            if !has_frame {
                chip::sleep();
            }
            has_frame
        });
        if has_frame {
            return;
        }
    }
}

/// How deep the stack has been.
#[derive(Default)]
struct Depth {
    told: usize,
    looks_at: Instant,
}

impl Depth {
    /// Looks once a second, and tells of it when it was never so deep.
    fn note(&mut self, now: Instant) {
        if now < self.looks_at {
            return;
        }
        self.looks_at = now + Duration::from_secs(1);
        let (used, size) = start::stack();
        if used > self.told {
            self.told = used;
            info!("stack: {used} of {size} bytes were in use");
        }
    }
}

/// Called when the processor cannot go on, the stack being thrown away (`start`).
#[unsafe(no_mangle)]
extern "C" fn HardFault() -> ! {
    let (status, address) = chip::fault();
    panic!("fault {status:#x} at {address:#x}: below 0x20000000 is where the stack ends");
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = write!(Uart, "{info}\r\n");
    chip::without_interrupts(|| {
        loop {
            chip::sleep();
        }
    })
}
