//! What Cargo does not know of the linker: which files it reads, and with defmt, where the texts are
//! that the firmware goes without.

fn main() {
    for file in ["../lm3s6965/build.rs", "../lm3s6965/link.x", "memory.x"] {
        println!("cargo::rerun-if-changed={file}");
    }
    if cfg!(feature = "defmt") {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
}
