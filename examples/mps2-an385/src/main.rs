//! tinyftp on a second board, to show what that takes: an MPS2 with a Cortex-M3 in its FPGA, and a
//! LAN9118 for Ethernet.
//!
//! | file | what it is |
//! |---|---|
//! | `chip` | what is where, and how fast it goes |
//! | `ethernet`, `uart` | drivers |
//!
//! Everything else is that of the LM3S6965, the sizes too. `scripts/run-qemu.sh --board mps2-an385`
//! runs it.
#![no_std]
#![no_main]

mod chip;
mod ethernet;
mod uart;

#[path = "../../lm3s6965/src/clock.rs"]
mod clock;
#[path = "../../lm3s6965/src/flash.rs"]
mod flash;
#[cfg(feature = "defmt")]
#[path = "../../lm3s6965/src/frames.rs"]
mod frames;
#[path = "../../lm3s6965/src/lent.rs"]
mod lent;
#[path = "../../lm3s6965/src/memory.rs"]
mod memory;
#[path = "../../lm3s6965/src/processor.rs"]
mod processor;
#[path = "../../lm3s6965/src/serial.rs"]
mod serial;
#[path = "../../lm3s6965/src/server.rs"]
mod server;
#[path = "../../lm3s6965/src/stack.rs"]
mod stack;
#[path = "../../lm3s6965/src/start.rs"]
mod start;
#[path = "../../lm3s6965/src/trouble.rs"]
mod trouble;
