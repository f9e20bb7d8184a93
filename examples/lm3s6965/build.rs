//! What the linker has to know for defmt: where the texts are that the firmware goes without.

fn main() {
    println!("cargo::rerun-if-changed=../lm3s6965/build.rs");
    if cfg!(feature = "defmt") {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
}
