//! The memory of a small server, in one place: [`resources!`](crate::resources!).

use core::mem::MaybeUninit;

use heapless::Vec;
use smoltcp::iface::SocketStorage;

use crate::ftp::{Desk, Session};
use crate::net::{Bucket, Buffers, Memory, Outbox, Slot, Timer};
use crate::storage::Storage;

/// All the memory of a network with FTP over `S`, but for the storage's own. In a static it is
/// zeros, which take no room in the firmware's image, until it is lent.
///
/// [`resources!`](crate::resources!) says which number is which: `N` bytes of the longest line and
/// of the longest path; `PLACES` for FTP sessions, one of them to tell a client that there are too
/// many; `DESKS`; `CONTROL` connections to services, `DATA` data connections, `SLOTS` of both and as
/// many [`sockets`] as these need; and bytes of the buffers of each, first of those in `CONTROL`.
pub struct Resources<
    S: Storage + 'static,
    const N: usize,
    const PLACES: usize,
    const DESKS: usize,
    const CONTROL: usize,
    const DATA: usize,
    const SLOTS: usize,
    const SOCKETS: usize,
    const CONTROL_RECEIVE: usize,
    const CONTROL_TRANSMIT: usize,
    const DATA_RECEIVE: usize,
    const DATA_TRANSMIT: usize,
> {
    sessions: Vec<Session<'static, S::Job, N>, PLACES>,
    desks: [MaybeUninit<Desk<'static, S::Job, N>>; DESKS],
    slots: Vec<Slot<'static>, SLOTS>,
    sockets: Vec<SocketStorage<'static>, SOCKETS>,
    timers: Vec<Timer, SLOTS>,
    buckets: Vec<[Bucket; 2], SLOTS>,
    control_receive: [[u8; CONTROL_RECEIVE]; CONTROL],
    control_transmit: [[u8; CONTROL_TRANSMIT]; CONTROL],
    data_receive: [[u8; DATA_RECEIVE]; DATA],
    data_transmit: [[u8; DATA_TRANSMIT]; DATA],
}

/// What [`Resources`] are lent as.
pub struct Parts<'a, J, const N: usize> {
    /// What the network works in. There is no room for services over UDP.
    pub memory: Memory<'a>,
    /// FTP sessions.
    pub sessions: &'a mut [Session<'a, J, N>],
    /// Where they work.
    pub desks: &'a mut [MaybeUninit<Desk<'a, J, N>>],
}

impl<
    S: Storage + 'static,
    const N: usize,
    const PLACES: usize,
    const DESKS: usize,
    const CONTROL: usize,
    const DATA: usize,
    const SLOTS: usize,
    const SOCKETS: usize,
    const CONTROL_RECEIVE: usize,
    const CONTROL_TRANSMIT: usize,
    const DATA_RECEIVE: usize,
    const DATA_TRANSMIT: usize,
>
    Resources<
        S,
        N,
        PLACES,
        DESKS,
        CONTROL,
        DATA,
        SLOTS,
        SOCKETS,
        CONTROL_RECEIVE,
        CONTROL_TRANSMIT,
        DATA_RECEIVE,
        DATA_TRANSMIT,
    >
{
    /// FTP sessions at once.
    pub const SESSIONS: usize = PLACES - 1;
    /// Bytes of the longest line, and of the longest path: `N` of [`Ftp`](crate::ftp::Ftp).
    pub const LINE: usize = N;

    /// Bytes of all.
    pub const SIZE: usize = size_of::<Self>();
    /// Bytes of one more session that is idle.
    pub const SESSION: usize =
        Self::SLOT + CONTROL_RECEIVE + CONTROL_TRANSMIT + size_of::<Session<'static, S::Job, N>>();
    /// Bytes of one more session at work, besides.
    pub const DESK: usize = size_of::<Desk<'static, S::Job, N>>();
    /// Bytes of one more data connection.
    pub const TRANSFER: usize = Self::SLOT + DATA_RECEIVE + DATA_TRANSMIT;

    const SLOT: usize = size_of::<Slot<'static>>()
        + size_of::<SocketStorage<'static>>()
        + size_of::<Timer>()
        + size_of::<[Bucket; 2]>();

    /// What a static begins with.
    pub const EMPTY: Self = Self {
        sessions: Vec::new(),
        desks: [const { MaybeUninit::uninit() }; DESKS],
        slots: Vec::new(),
        sockets: Vec::new(),
        timers: Vec::new(),
        buckets: Vec::new(),
        control_receive: [[0; CONTROL_RECEIVE]; CONTROL],
        control_transmit: [[0; CONTROL_TRANSMIT]; CONTROL],
        data_receive: [[0; DATA_RECEIVE]; DATA],
        data_transmit: [[0; DATA_TRANSMIT]; DATA],
    };

    /// All of it, for the network and for FTP.
    pub fn lend(&'static mut self) -> Parts<'static, S::Job, N> {
        const {
            assert!(SLOTS == CONTROL + DATA, "there is a slot for each connection");
            assert!(SOCKETS == sockets(SLOTS), "there is a socket in each slot, and one for DHCP");
            assert!(DESKS > 0, "FTP sessions need a desk to work at: `desks` is 0");
        }
        let memory = Memory {
            control: CONTROL,
            bulk: 0,
            slots: fill(&mut self.slots),
            sockets: fill(&mut self.sockets),
            timers: fill(&mut self.timers),
            buckets: fill(&mut self.buckets).as_flattened_mut(),
            control_buffers: Buffers {
                receive: self.control_receive.as_flattened_mut(),
                transmit: self.control_transmit.as_flattened_mut(),
            },
            bulk_buffers: Buffers::default(),
            data_buffers: Buffers {
                receive: self.data_receive.as_flattened_mut(),
                transmit: self.data_transmit.as_flattened_mut(),
            },
            message: &mut [],
            outbox: Outbox::default(),
        };
        Parts { memory, sessions: fill(&mut self.sessions), desks: &mut self.desks }
    }
}

/// How many sockets there are with so many slots: one in each, and that of the DHCP client.
pub const fn sockets(slots: usize) -> usize {
    slots + cfg!(feature = "dhcp") as usize
}

/// Makes as many values as there is room for, one after another, so that no more than one of them
/// is on the stack.
fn fill<T: Default, const N: usize>(room: &mut Vec<T, N>) -> &mut [T] {
    while room.push(T::default()).is_ok() {}
    room
}

/// Names the [`Resources`] of these sizes, each of which is said once.
///
/// | | |
/// |---|---|
/// | `storage` | the type of what FTP serves |
/// | `sessions` | FTP sessions at once |
/// | `desks` | how many of them can be at work at once ([`Ftp::new`](crate::ftp::Ftp::new)); one more than `sessions` is enough for all |
/// | `transfers` | data connections at once |
/// | `others` | connections to other services at once, over TCP |
/// | `line` | bytes of the longest command line, and of the longest path |
/// | `control` | bytes of the receive buffer, and of the transmit buffer, of each connection to a service; FTP sends `Ftp::REPLY_MAX` at once |
/// | `data` | those of each data connection; a listing sends `Ftp::LINE_MAX` at once |
///
/// ```
/// use tinyftp::auth::Accounts;
/// use tinyftp::ftp::Ftp;
/// use tinyftp::storage::ram::RamDisk;
///
/// tinyftp::resources! {
///     /// What the core works in.
///     pub type Resources = {
///         storage: RamDisk<'static>,
///         sessions: 2,
///         desks: 3,
///         transfers: 1,
///         others: 1, // echo
///         line: 128,
///         control: (256, 768),
///         data: (2048, 2048),
///     };
/// }
///
/// type FtpService = Ftp<'static, RamDisk<'static>, Accounts<'static>, { Resources::LINE }>;
///
/// const _: () = assert!(Resources::SIZE <= 17 * 1024);
/// ```
#[macro_export]
macro_rules! resources {
    (
        $(#[$attribute:meta])*
        $visibility:vis type $name:ident = {
            storage: $storage:ty,
            sessions: $sessions:expr,
            desks: $desks:expr,
            transfers: $transfers:expr,
            others: $others:expr,
            line: $line:expr,
            control: ($control_receive:expr, $control_transmit:expr),
            data: ($data_receive:expr, $data_transmit:expr) $(,)?
        };
    ) => {
        $(#[$attribute])*
        $visibility type $name = $crate::resources::Resources<
            $storage,
            { $line },
            { $sessions + 1 },
            { $desks },
            { $sessions + 1 + $others },
            { $transfers },
            { $sessions + 1 + $others + $transfers },
            { $crate::resources::sockets($sessions + 1 + $others + $transfers) },
            { $control_receive },
            { $control_transmit },
            { $data_receive },
            { $data_transmit },
        >;
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::ram::RamDisk;

    /// Resources for so many sessions, desks and transfers.
    macro_rules! sized {
        ($name:ident, $sessions:literal, $desks:literal, $transfers:literal) => {
            resources! {
                type $name = {
                    storage: RamDisk<'static>,
                    sessions: $sessions,
                    desks: $desks,
                    transfers: $transfers,
                    others: 1,
                    line: 128,
                    control: (256, 768),
                    data: (1024, 2048),
                };
            }
        };
    }
    sized!(Small, 2, 3, 1);
    sized!(MoreSessions, 3, 3, 1);
    sized!(MoreDesks, 2, 4, 1);
    sized!(MoreTransfers, 2, 3, 2);

    #[test]
    fn sizes_are_what_one_more_takes() {
        assert_eq!(MoreSessions::SIZE - Small::SIZE, Small::SESSION);
        assert_eq!(MoreDesks::SIZE - Small::SIZE, Small::DESK);
        assert_eq!(MoreTransfers::SIZE - Small::SIZE, Small::TRANSFER);
        assert_eq!((Small::SESSIONS, Small::LINE), (2, 128));
    }

    #[test]
    fn each_part_has_its_share() {
        let Parts { memory, sessions, desks } = std::boxed::Box::leak(Small::EMPTY.into()).lend();
        // One place more than sessions, and echo.
        assert_eq!((memory.control, memory.slots.len()), (4, 5));
        assert_eq!(memory.sockets.len(), sockets(5));
        assert_eq!((memory.timers.len(), memory.buckets.len()), (5, 10));
        assert_eq!(memory.control_buffers.receive.len(), 4 * 256);
        assert_eq!(memory.control_buffers.transmit.len(), 4 * 768);
        assert_eq!(memory.data_buffers.receive.len(), 1024);
        assert_eq!(memory.data_buffers.transmit.len(), 2048);
        assert_eq!((sessions.len(), desks.len()), (3, 3));
    }
}
