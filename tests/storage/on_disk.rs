//! What a [`Disk`] promises beyond the contract: nothing leads out of its root.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::contract::*;
use crate::disk::Disk;

promises!(with_a_disk);

/// Lends a disk, and sees that no upload is left on it.
fn with_a_disk(test: impl FnOnce(&mut Disk)) {
    let place = Place::new();
    test(&mut place.disk());
    assert_eq!(place.temporaries(), [""; 0], "an upload was left");
}

/// A directory of this test alone: `root` in it is served, `outside` is not.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tinyftp-storage-{}-{count}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(place.root()).unwrap();
        fs::create_dir(place.outside()).unwrap();
        fs::write(place.outside().join("secret"), "secret").unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn outside(&self) -> PathBuf {
        self.0.join("outside")
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.root()).unwrap()
    }

    /// The names in the served tree that look like an upload under way.
    fn temporaries(&self) -> Vec<String> {
        let mut found = vec![];
        let mut directories = vec![self.root()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".part") {
                    found.push(name);
                }
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
