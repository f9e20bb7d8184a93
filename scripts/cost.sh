#!/bin/bash
# What frames, commands and transfers cost the server, in instructions: prints the table of
# benches/cost.md. It takes a minute or two. Unlike times, the numbers repeat, with the same
# compiler and C library.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || {
    echo "cost.sh: valgrind is missing" >&2
    exit 1
}
binary=$(cargo bench --bench cost --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')

# instructions WORK COUNT IDLE: in all turns of the server.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no \
        --toggle-collect='*server::turn*' "$binary" "$@" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# row TITLE WORK FEW MANY [IDLE]: what one more costs, between so few and so many.
row() {
    local few many
    few=$(instructions "$2" "$3" "${5:-0}")
    many=$(instructions "$2" "$4" "${5:-0}")
    printf "| %s | %'d |\n" "$1" $(((many - few) / ($4 - $3)))
}

git describe --always --dirty
rustc --version
echo
echo "| | instructions |"
echo "|---|---:|"
for idle in 0 1 100 10000; do
    row "a segment without news, beside $idle idle sessions" segment 100 1100 $idle
done
row "one echo of 64 bytes" echo 100 1100
row "one NOOP and its reply" noop 100 1100
row "one NOOP and its reply, beside 10000 idle sessions" noop 100 1100 10000
row "one session: connection, USER, PASS, QUIT, end" login 10 110
row "one session, beside 10000 idle ones" login 10 110 10000
row "64 KiB of RETR" retr 16 48
row "64 KiB of STOR" stor 16 48
row "one RETR of 1 KiB with its data connection" small-retr 10 110
row "one RETR of 1 KiB, beside 10000 idle sessions" small-retr 10 110 10000
row "one LIST of 100 files with its data connection" list 10 60
