//! The network, from outside: a simulated wire with a virtual clock, and what a client, an
//! attacker or bad luck can do on it.
#![cfg(all(feature = "ipv4", feature = "ipv6"))]

#[path = "net/addressing.rs"]
mod addressing;
#[path = "net/answers.rs"]
mod answers;
#[path = "net/calls.rs"]
mod calls;
#[path = "net/client.rs"]
mod client;
#[path = "net/connections.rs"]
mod connections;
#[path = "net/cookies.rs"]
mod cookies;
#[path = "net/data.rs"]
mod data;
#[path = "net/datagrams.rs"]
mod datagrams;
#[cfg(feature = "dhcp")]
#[path = "net/dhcp.rs"]
mod dhcp;
#[path = "net/fuzz.rs"]
mod fuzz;
#[path = "net/idle.rs"]
mod idle;
#[path = "net/isn.rs"]
mod isn;
#[path = "net/link_local.rs"]
mod link_local;
#[path = "net/neighbors.rs"]
mod neighbors;
#[path = "net/offload.rs"]
mod offload;
#[path = "net/overshoot.rs"]
mod overshoot;
#[path = "net/pools.rs"]
mod pools;
#[path = "net/raw.rs"]
mod raw;
#[path = "net/requests.rs"]
mod requests;
#[path = "net/resets.rs"]
mod resets;
#[path = "net/routers.rs"]
mod routers;
#[path = "net/sim.rs"]
mod sim;
#[path = "net/stuck.rs"]
mod stuck;
#[path = "net/told.rs"]
mod told;
#[path = "net/transfers.rs"]
mod transfers;
#[path = "net/wire.rs"]
mod wire;
