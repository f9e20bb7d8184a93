# shellcheck shell=sh
# Cargo for a Cortex-M3, for other scripts to read.

thumb=thumbv7m-none-eabi

# Whether the toolchain in the path has the libraries of the target.
has_target() {
    libraries=$(rustc --print target-libdir --target $thumb 2>/dev/null) && [ -d "$libraries" ]
}

# Where it has not, Debian's toolchain builds them.
cargo_for_thumb() {
    if has_target; then
        cargo "$@"
    else
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER=ld.lld \
            /usr/bin/cargo "$@" -Z build-std=core
    fi
}
