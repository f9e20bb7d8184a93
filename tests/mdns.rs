//! The mDNS responder on a virtual clock: what comes, and what is sent, as a trace of the wire.
#![cfg(feature = "mdns")]

#[path = "mdns/addresses.rs"]
mod addresses;
#[path = "mdns/claims.rs"]
mod claims;
#[path = "ftp/corpus.rs"]
mod corpus;
#[path = "mdns/fuzz.rs"]
mod fuzz;
#[path = "mdns/host.rs"]
mod host;
#[path = "mdns/malformed.rs"]
mod malformed;
#[path = "mdns/pair.rs"]
mod pair;
#[path = "mdns/queries.rs"]
mod queries;
#[path = "ftp/random.rs"]
mod random;
#[path = "mdns/wire.rs"]
mod wire;
