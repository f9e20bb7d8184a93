//! An FTP and echo server with a network stack of its own, for devices and for Linux.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod log;

pub mod auth;
pub mod ftp;
#[cfg(feature = "net")]
pub mod net;
pub mod service;
pub mod services;
pub mod storage;
pub mod stream;
pub mod time;
