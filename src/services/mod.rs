//! Services that are small enough for a file each.
//!
//! [`echo`], [`discard`] and [`daytime`] are the small servers of inetd. What each does with a
//! datagram and with a connection is all there is in its file; [`simple`] sees to sessions.

pub mod daytime;
pub mod discard;
pub mod echo;
#[cfg(feature = "mdns")]
pub mod mdns;
pub mod simple;
