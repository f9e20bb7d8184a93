//! Services that are small enough for a file each.

pub mod echo;
