//! The corpus of a fuzz target, run as an ordinary test.

use std::fs;
use std::panic;
use std::path::Path;

/// Runs `body` with each file of the corpus of `target`.
pub fn run(target: &str, body: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for file in fs::read_dir(&directory).expect("the corpus") {
        let path = file.expect("a file of the corpus").path();
        let input = fs::read(&path).expect("a file of the corpus");
        let result = panic::catch_unwind(|| body(&input));
        assert!(result.is_ok(), "the input is {}", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "no corpus in {}", directory.display());
}
