//! tinyftp on a microcontroller: a Cortex-M3 with 64 KiB of RAM and an Ethernet MAC, the LM3S6965.
//!
//! Two FTP sessions with a transfer each and an echo session go at once. `scripts/run-qemu.sh`
//! runs it; the files are:
//!
//! | file | what it is |
//! |---|---|
//! | `server` | the service table and the loop |
//! | `memory` | what the core is lent, and how much of it |
//! | `flash` | files that are always there |
//! | `lent` | statics that are lent once |
//! | `serial`, `frames` | the log on the serial port, as text or with defmt |
//! | `processor`, `clock` | of every Cortex-M3 |
//! | `chip`, `ethernet`, `uart` | of this one: registers and drivers |
//! | `start`, `stack`, `trouble` | from reset to `main`, and what if it goes no further |
#![no_std]
#![no_main]

mod chip;
mod clock;
mod ethernet;
mod flash;
#[cfg(feature = "defmt")]
mod frames;
mod lent;
mod memory;
mod processor;
mod serial;
mod server;
mod stack;
mod start;
mod trouble;
mod uart;
