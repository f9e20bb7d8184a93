//! A file system in fixed memory.
