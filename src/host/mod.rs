//! The Linux side: what the core needs from an operating system.

mod accounts;
pub mod cli;
pub mod clock;
pub mod disk;
pub mod logger;
pub mod memory;
pub mod server;
mod signals;
mod size;
mod tap;
mod tree;
mod zlib;
