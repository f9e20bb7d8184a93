//! The memory of a small server, in one place: [`resources!`](crate::resources!).

use core::mem::MaybeUninit;

use heapless::Vec;
use smoltcp::iface::SocketStorage;

use crate::auth::Accounts;
use crate::ftp::{Desk, Ftp, Session};
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
    /// What the network works in. For services over UDP there is room once its `message` has been
    /// lent some bytes, such as a second static.
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
    /// Bytes of the longest line, and of the longest path: `N` of [`Ftp`].
    pub const LINE: usize = N;

    /// Refuses to compile where [`resources!`](crate::resources!) was given sizes that cannot work.
    #[doc(hidden)]
    pub const CHECK: () = if let Some(wrong) = Self::WRONG {
        panic!("{}", wrong);
    };

    /// What is wrong with the sizes, if something is.
    const WRONG: Option<&'static str> = first(&[
        (SLOTS != CONTROL + DATA, "there must be a slot for each connection"),
        (SOCKETS != sockets(SLOTS), "there must be a socket in each slot, and one for DHCP"),
        (SLOTS >= u16::MAX as usize, "there may be 65,534 connections at most"),
        (PLACES < 2, "`sessions` must be 1 at least"),
        (DESKS == 0, "`desks` must be 1 at least: without one, no client is served"),
        (DATA == 0, "`transfers` must be 1 at least: listings are transfers, too"),
        (N < LINE_MIN, "`line` must be 64 at least: the longest EPRT needs it"),
        (CONTROL_RECEIVE == 0 || DATA_RECEIVE == 0, "a receive buffer must have 1 byte at least"),
        (
            CONTROL_TRANSMIT < Ftp::<S, Accounts<'static>, N>::REPLY_MAX,
            "the transmit buffer of `control` must have `Ftp::REPLY_MAX` bytes at least: \
             640, or with a `line` over 224, twice that and 192",
        ),
        (
            DATA_TRANSMIT < Ftp::<S, Accounts<'static>, N>::LINE_MAX,
            "the transmit buffer of `data` must have `Ftp::LINE_MAX` bytes at least: \
             400 more than `line`",
        ),
    ]);

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
        const { Self::CHECK };
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

/// Bytes of the longest line that has no path: EPRT with an IPv6 address.
const LINE_MIN: usize = 64;

/// The first of these that is so.
const fn first(found: &[(bool, &'static str)]) -> Option<&'static str> {
    let mut rest = found;
    while let [(is_so, what), others @ ..] = rest {
        if *is_so {
            return Some(what);
        }
        rest = others;
    }
    None
}

/// Makes as many values as there is room for, one after another, so that no more than one of them
/// is on the stack.
fn fill<T: Default, const N: usize>(room: &mut Vec<T, N>) -> &mut [T] {
    while room.push(T::default()).is_ok() {}
    room
}

/// Names the [`Resources`] of these sizes, each of which is said once, in this order. Sizes that
/// cannot work do not compile.
///
/// | | |
/// |---|---|
/// | `storage` | the type of what FTP serves |
/// | `sessions` | FTP sessions at once: `max_sessions` of [`ftp::Config`](crate::ftp::Config) |
/// | `desks` | how many of them can be at work at once ([`Ftp::new`](crate::ftp::Ftp::new)); one more than `sessions` is enough for all |
/// | `transfers` | data connections at once |
/// | `others` | connections to other services at once, over TCP |
/// | `line` | bytes of the longest command line, and of the longest path: 64 or more |
/// | `control` | bytes of the receive buffer, and of the transmit buffer, of each connection to a service; FTP sends [`Ftp::REPLY_MAX`](crate::ftp::Ftp::REPLY_MAX) at once |
/// | `data` | those of each data connection; a listing sends [`Ftp::LINE_MAX`](crate::ftp::Ftp::LINE_MAX) at once |
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
        const _: () = <$name>::CHECK;
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

    /// Resources of a session, a transfer and echo, but for these.
    type Sized<
        const LINE: usize,
        const DESKS: usize,
        const CONTROL_TRANSMIT: usize,
        const DATA_RECEIVE: usize,
        const DATA_TRANSMIT: usize,
    > = Resources<
        RamDisk<'static>,
        LINE,
        2,
        DESKS,
        3,
        1,
        4,
        { sockets(4) },
        1,
        CONTROL_TRANSMIT,
        DATA_RECEIVE,
        DATA_TRANSMIT,
    >;
    /// Resources of so many places, connections of either kind, and slots and sockets.
    type Counted<
        const PLACES: usize,
        const CONTROL: usize,
        const DATA: usize,
        const SLOTS: usize,
        const SOCKETS: usize,
    > = Resources<RamDisk<'static>, 128, PLACES, 1, CONTROL, DATA, SLOTS, SOCKETS, 1, 640, 1, 528>;

    #[test]
    fn what_cannot_work_is_told() {
        let told = |wrong: Option<&str>, what| {
            assert!(wrong.is_some_and(|wrong| wrong.contains(what)), "{wrong:?}");
        };
        assert_eq!(Sized::<128, 1, 640, 1, 528>::WRONG, None);
        told(Sized::<63, 1, 640, 1, 463>::WRONG, "`line`");
        told(Sized::<128, 0, 640, 1, 528>::WRONG, "`desks`");
        told(Sized::<128, 1, 639, 1, 528>::WRONG, "`control`");
        told(Sized::<128, 1, 640, 0, 528>::WRONG, "receive");
        told(Sized::<128, 1, 640, 1, 527>::WRONG, "`data`");
        // Both grow with the line.
        assert_eq!(Sized::<256, 1, 704, 1, 656>::WRONG, None);
        told(Sized::<256, 1, 703, 1, 656>::WRONG, "`control`");
        told(Sized::<256, 1, 704, 1, 655>::WRONG, "`data`");

        assert_eq!(Counted::<2, 2, 1, 3, { sockets(3) }>::WRONG, None);
        told(Counted::<1, 1, 1, 2, { sockets(2) }>::WRONG, "`sessions`");
        told(Counted::<2, 2, 0, 2, { sockets(2) }>::WRONG, "`transfers`");
        told(Counted::<2, 2, 1, 4, { sockets(4) }>::WRONG, "slot for each");
        told(Counted::<2, 2, 1, 3, 2>::WRONG, "socket in each");
        told(Counted::<2, 65_534, 1, 65_535, { sockets(65_535) }>::WRONG, "65,534");
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
