#!/bin/bash
# Fuzzes each target for SECONDS (600), one after the other: scripts/fuzz.sh [SECONDS]
# What is found goes to fuzz/target/found. `scripts/fuzz.sh --minimise` puts into the corpus what
# of it reaches code that the corpus does not reach. Needs a nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(command_line listing mdns session)
found=fuzz/target/found
# The library has no unsafe code, so what slows the fuzzer down by half is left out.
build=(--sanitizer none)

# fuzz TARGET SECONDS: stops at the first finding
fuzz() {
    mkdir -p "$found/$1"
    cargo +nightly fuzz run "${build[@]}" "$1" "$found/$1" "fuzz/corpus/$1" -- \
        -max_total_time="$2" -max_len=1024 -timeout=10 -dict=fuzz/control.dict -print_final_stats=1
}

# Seeds have names and stay; what was found is named by its hash, and is chosen anew.
minimise() {
    mkdir -p "$found/$1"
    find "fuzz/corpus/$1" -regextype posix-extended -regex '.*/[0-9a-f]{40}' \
        -exec mv -t "$found/$1" {} +
    # Code that is reached counts, and not how often: a corpus that a test can run.
    cargo +nightly fuzz run "${build[@]}" "$1" "fuzz/corpus/$1" "$found/$1" -- \
        -set_cover_merge=1 -use_counters=0
}

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
for target in "${targets[@]}"; do
    echo
    echo "== $target"
    if [ "${1:-}" = --minimise ]; then
        minimise "$target"
    else
        fuzz "$target" "${1:-600}"
    fi
done
