//! Where on the link a peer is: asked for more often than smoltcp does, and not asked for where
//! an answer can go back the way the question came.

use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, TxToken};
use smoltcp::wire::{ETHERNET_HEADER_LEN, EthernetFrame, EthernetRepr, HardwareAddress};

use super::device::{Exit, Shim};
use super::secret::interface_seed;
use super::{Net, instant};
use crate::time::Instant;

impl Net<'_> {
    /// Gives smoltcp a frame of ARP or of neighbor discovery. Who waits for a neighbor looks
    /// again whether it is known now.
    pub(super) fn meet(&mut self, frame: &[u8], answer: impl TxToken, now: Instant) {
        let mut shim = Shim::received(frame, Exit::Wire(answer), &self.capabilities);
        let mut nobody = SocketSet::new(&mut [][..]);
        self.iface.poll_ingress_single(instant(now), &mut shim, &mut nobody);
        while let Some(slot) = self.neighborless.pop() {
            self.mark(slot);
        }
    }

    /// Has smoltcp answer a packet that belongs to no socket: a ping, or one to a closed port. The
    /// answer goes to where the frame came from, so that nobody has to be asked for, and no
    /// answer is lost meanwhile.
    pub(super) fn answer_frame(&mut self, frame: &[u8], answer: impl TxToken, now: Instant) {
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return };
        let header = EthernetRepr {
            src_addr: self.hardware,
            dst_addr: frame.src_addr(),
            ethertype: frame.ethertype(),
        };
        let capabilities = self.packet_capabilities();
        let mut iface = self.packet_interface(0, &capabilities, now);
        let answer = Exit::Framed(answer, &header);
        let mut shim = Shim::received(frame.payload(), answer, &capabilities);
        let mut nobody = SocketSet::new(&mut [][..]);
        iface.poll_ingress_single(instant(now), &mut shim, &mut nobody);
    }

    /// A slot has something to send, and its neighbor is not known. smoltcp has `asked` for it,
    /// or it has not, because it asks for one neighbor a second: then it is asked for here.
    pub(super) fn await_neighbor<D: Device + ?Sized>(
        &mut self,
        at: u16,
        asked: bool,
        device: &mut D,
        now: Instant,
    ) {
        // With the list full the slot is looked at again after a second.
        if !self.neighborless.contains(&at) {
            let _ = self.neighborless.push(at);
        }
        if asked || !self.questions.grants(now) {
            return;
        }
        // An interface that knows no neighbors, and has asked for none yet.
        let mut iface = self.throw_away_interface(0, now);
        self.share_routes(&mut iface);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        slot.forget_neighbor();
        let mut shim = Shim::through(device, &self.capabilities, instant(now));
        iface.poll_egress(instant(now), &mut shim, &mut slot.sockets);
    }

    /// Those of the device, for packets without their frames.
    pub(super) fn packet_capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.capabilities.clone();
        capabilities.medium = Medium::Ip;
        // Of a packet, that is.
        capabilities.max_transmission_unit =
            capabilities.max_transmission_unit.saturating_sub(ETHERNET_HEADER_LEN);
        capabilities
    }

    /// An interface for packets without their frames, whose first connection begins with this
    /// sequence number.
    pub(super) fn packet_interface(
        &self,
        isn: u32,
        capabilities: &DeviceCapabilities,
        now: Instant,
    ) -> Interface {
        let mut config = smoltcp::iface::Config::new(HardwareAddress::Ip);
        config.random_seed = interface_seed(isn);
        let mut iface = Interface::new(config, &mut Shim::closed(capabilities), instant(now));
        self.share_addresses(&mut iface);
        iface
    }

    /// Gives an interface our addresses.
    pub(super) fn share_addresses(&self, iface: &mut Interface) {
        iface.update_ip_addrs(|addresses| {
            // Both have the same capacity.
            let _ = addresses.extend_from_slice(self.iface.ip_addrs());
        });
    }

    fn share_routes(&mut self, iface: &mut Interface) {
        let ours = self.iface.routes_mut();
        ours.update(|ours| {
            iface.routes_mut().update(|routes| routes.clone_from(ours));
        });
    }
}
