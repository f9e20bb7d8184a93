//! The Linux side: what the core needs from an operating system.

mod accounts;
mod announce;
mod capture;
pub mod cli;
pub mod clock;
pub mod disk;
pub mod logger;
pub mod memory;
mod network;
mod offload;
pub mod server;
pub mod services;
mod signals;
mod size;
mod sys;
mod table;
mod tap;
mod tree;
mod wait;
pub mod workers;
mod zlib;
