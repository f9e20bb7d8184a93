//! The contract of [`Storage`](tinyftp::storage::Storage), on every backend.

#[path = "storage/contract.rs"]
mod contract;
#[cfg(feature = "host")]
#[path = "../src/host/disk.rs"]
mod disk;
#[path = "storage/in_ram.rs"]
mod in_ram;
#[cfg(feature = "host")]
#[path = "storage/on_disk.rs"]
mod on_disk;
#[cfg(feature = "host")]
#[path = "storage/on_workers.rs"]
mod on_workers;
#[path = "storage/with_quotas.rs"]
mod with_quotas;
#[cfg(feature = "host")]
#[path = "../src/host/workers.rs"]
mod workers;
