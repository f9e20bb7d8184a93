//! The memory that the caller lends, and what it becomes.

use smoltcp::iface::SocketStorage;

use super::config::ConfigError;
use super::index::{Bucket, Index};
use super::outbox::Outbox;
use super::slots::Slot;
use super::timers::{Timer, Timers};

/// The memory that [`Net`](super::Net) works in, lent by the caller: nothing is allocated later.
///
/// The first `control` slots are for connections to services, of which there must be one, the next
/// `bulk` for those to services with larger buffers, the others for data connections. There may be
/// 65,534 slots at most.
pub struct Memory<'a> {
    /// How many of the slots are for connections to services, but for those in `bulk`.
    pub control: usize,
    /// How many are for connections to services with larger buffers
    /// ([`Binding::bulk`](super::Binding::bulk)); with none, those have slots like any other.
    pub bulk: usize,
    /// One for each slot.
    pub slots: &'a mut [Slot<'a>],
    /// One for each slot, and one more with [`Address::Dhcp`](super::Address::Dhcp) or
    /// [`Address::Auto`](super::Address::Auto).
    pub sockets: &'a mut [SocketStorage<'a>],
    /// One for each slot.
    pub timers: &'a mut [Timer],
    /// Two for each slot; more make the index faster with many data connections, each of which is
    /// in there twice.
    pub buckets: &'a mut [Bucket],
    /// Receive and transmit buffers of the connections to services.
    pub control_buffers: Buffers<'a>,
    /// Receive and transmit buffers of those with larger ones.
    pub bulk_buffers: Buffers<'a>,
    /// Receive and transmit buffers of the data connections.
    pub data_buffers: Buffers<'a>,
    /// Where services over UDP write what they send: as many bytes as the longest message has.
    /// It may be empty if there are none.
    pub message: &'a mut [u8],
    /// For what services over UDP send to peers of their own accord; none of those here does.
    pub outbox: Outbox<'a>,
}

/// Memory for the buffers of a pool of slots: each slot gets an equal share.
///
/// What services write as a whole must fit the transmit buffer of a slot: for
/// [`Ftp`](crate::ftp::Ftp), `Ftp::REPLY_MAX` bytes on the control connection, and `Ftp::LINE_MAX` on
/// the data connection.
#[derive(Default)]
pub struct Buffers<'a> {
    /// Where received bytes wait. A share over 65,535 bytes makes use of window scaling.
    pub receive: &'a mut [u8],
    /// Where bytes wait until they are acknowledged.
    pub transmit: &'a mut [u8],
}

/// What [`Memory`] becomes.
pub(super) struct Furniture<'a> {
    pub slots: &'a mut [Slot<'a>],
    pub index: Index<'a>,
    pub timers: Timers<'a>,
    pub message: &'a mut [u8],
    pub outbox: Outbox<'a>,
    /// Room for a socket that is no slot's.
    pub spare: Option<&'a mut SocketStorage<'a>>,
}

/// Gives each slot its socket, and makes the rest of the memory what it is for.
pub(super) fn furnish(memory: Memory<'_>) -> Result<Furniture<'_>, ConfigError> {
    let Memory { control, bulk, slots, sockets, timers, buckets, message, outbox, .. } = memory;
    let needs = [
        ((1..usize::from(u16::MAX)).contains(&slots.len()), "slots: from 1 to 65,534"),
        (control > 0, "a slot for connections to services"),
        (sockets.len() >= slots.len(), "a socket for each slot"),
        (timers.len() >= slots.len(), "a timer for each slot"),
        (buckets.len() >= 2 * slots.len(), "two buckets for each slot"),
        (control.saturating_add(bulk) <= slots.len(), "slots for `control` and `bulk`"),
    ];
    if let Some((_, missing)) = needs.into_iter().find(|(is_met, _)| !is_met) {
        return Err(ConfigError::Memory(missing));
    }
    let mut sockets = sockets.iter_mut();
    let (control_slots, others) = slots.split_at_mut_checked(control).unwrap_or_default();
    let (bulk_slots, data_slots) = others.split_at_mut_checked(bulk).unwrap_or_default();
    let pools = [
        (control_slots, memory.control_buffers, "`control_buffers`"),
        (bulk_slots, memory.bulk_buffers, "`bulk_buffers`"),
        (data_slots, memory.data_buffers, "`data_buffers`"),
    ];
    for (slots, buffers, name) in pools {
        equip(slots, &mut sockets, buffers).ok_or(ConfigError::Memory(name))?;
    }
    let (index, timers, spare) = (Index::new(buckets), Timers::new(timers), sockets.next());
    Ok(Furniture { slots, index, timers, message, outbox, spare })
}

/// Gives each slot a socket, with its share of the buffers; `None` if that is nothing.
fn equip<'a>(
    slots: &mut [Slot<'a>],
    sockets: &mut impl Iterator<Item = &'a mut SocketStorage<'a>>,
    buffers: Buffers<'a>,
) -> Option<()> {
    let count = slots.len().max(1);
    let (receive, transmit) = (buffers.receive.len() / count, buffers.transmit.len() / count);
    if receive == 0 || transmit == 0 {
        return slots.is_empty().then_some(());
    }
    let receive = buffers.receive.chunks_exact_mut(receive);
    let transmit = buffers.transmit.chunks_exact_mut(transmit);
    for (((slot, storage), receive), transmit) in
        slots.iter_mut().zip(sockets).zip(receive).zip(transmit)
    {
        slot.equip(storage, receive, transmit);
    }
    Some(())
}
