//! The service table and the loop.

use log::info;
use tinyftp::auth::{Account, Accounts, Grant, Rights};
use tinyftp::ftp::{self, Ftp};
use tinyftp::net::smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use tinyftp::net::{self, Address, Binding, Net};
use tinyftp::resources::Parts;
use tinyftp::services::echo::Echo;
use tinyftp::services::simple::Simple;
use tinyftp::storage::{Op, Path, Storage};
use tinyftp::time::{Duration, Instant, Timestamp};

use crate::clock::Clock;
use crate::ethernet::Mac;
use crate::flash::{DIRECTORY, File, Flash};
use crate::memory::{self, Disk, ECHO, MAC, RESOURCES, Resources};
use crate::stack::Depth;
use crate::{chip, processor, serial, trouble};

const ADDRESS: IpCidr = IpCidr::new(IpAddress::v4(192, 168, 69, 1), 24);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// In the order of their names.
static FILES: [File; 2] = [
    File { name: "README.txt", content: include_bytes!("../files/README.txt") },
    File { name: "clients.txt", content: include_bytes!("../files/clients.txt") },
];

/// Called when RAM is as it should be (`start`).
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    chip::start();
    serial::start();
    let (mac, mut clock) = (MAC.lend(), Clock::start());
    let hardware = mac.start();
    info!("tinyftp is at {ADDRESS}, {}", EthernetAddress(hardware));

    let Parts { memory, sessions, desks } = RESOURCES.lend().lend();
    let config = net::Config {
        hardware: EthernetAddress(hardware),
        addresses: &[Address::Fixed(ADDRESS)],
        routes: &[],
        host_name: None,
        passive_ports: 49_152..=65_535,
        seed: seed(hardware, mac, &mut clock),
    };
    // Borrowed, and not taken out: the stack has no room for a second one.
    let mut net = Net::new(&config, memory, mac, clock.now());
    let net = match &mut net {
        Ok(net) => net,
        Err(error) => trouble::stop(error),
    };

    // Anybody may do anything.
    let anonymous = Some(Account::anonymous(Grant::new(Rights::ALL)));
    let accounts = Accounts { accounts: &mut [], anonymous };
    let config = ftp::Config {
        max_sessions: Resources::SESSIONS,
        idle_timeout: IDLE_TIMEOUT,
        ..ftp::Config::default()
    };
    let mut ftp = Ftp::new(storage(), accounts, config, sessions, desks);
    let mut echo = Simple::new(Echo, ECHO.lend(), IDLE_TIMEOUT);

    let mut services = [Binding::tcp("ftp", 21, &mut ftp), Binding::tcp("echo", 7, &mut echo)];
    let mut depth = Depth::default();
    loop {
        let due = net.poll(mac, &mut services, clock.now());
        depth.note(clock.now());
        wait(mac, &mut clock, due);
    }
}

/// What this chip has that nobody can know: when its first frame came, to a cycle. That is worth
/// some 20 bits to whoever is far away and little to a neighbor, who can send that frame: a board
/// with a source of random numbers should use it here.
fn seed([a, b, c, d, e, f]: [u8; 6], mac: &Mac, clock: &mut Clock) -> u128 {
    wait(mac, clock, None);
    let hardware = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    u128::from(hardware) << 64 | u128::from(clock.cycles())
}

/// The disk in RAM, with the files in flash in a directory of theirs.
fn storage() -> Disk {
    let mut disk = memory::disk();
    if let Some(path) = Path::new(DIRECTORY.as_bytes()) {
        // This disk makes it at once, and there is room on an empty one.
        let _ = disk.start(Op::MakeDirectory { path, mode: 0o755 }, Timestamp(0));
    }
    Flash::new(disk, &FILES)
}

/// Sleeps until there is a frame, or until then.
fn wait(mac: &Mac, clock: &mut Clock, due: Option<Instant>) {
    while due.is_none_or(|due| clock.now() < due) {
        let has_frame = processor::without_interrupts(|| {
            let has_frame = mac.has_frame();
            if !has_frame {
                processor::sleep();
            }
            has_frame
        });
        if has_frame {
            return;
        }
    }
}
