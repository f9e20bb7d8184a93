//! The FTP server from the outside: bytes in, bytes out, on a clock of the tests' own.
//!
//! | file | what it is |
//! |---|---|
//! | `wire` | a TCP connection in memory |
//! | `watched` | a RAM disk that fails on demand and counts its jobs |
//! | `net` | carries out the actions of the server |
//! | `transcript` | runs the sessions that are written down in `tests/transcripts` |
//! | `stories` | several clients, long inputs, every byte of a session |
//! | `deflate` | MODE Z |
//! | `limits` | what accounts may do, and how much of it |
//! | `chaos` | random sessions with random faults |
//! | `fuzz` | sessions that a fuzzer makes up; its corpus is in `fuzz/` |
//! | `observer` | checks the replies against what was asked |
//! | `telnet` | what lines there are in what a client sends |
//! | `corpus` | runs a fuzz target over its corpus |
//!
//! # Attacks
//!
//! What FTP servers were attacked with, and the tests of it: transcripts, Rust tests here, of the
//! network, of storage and of the parts in `src`, and what `tests/clients` plays on a real link.
//!
//! | class | tests |
//! |---|---|
//! | traversal (CVE-2015-7602, CVE-2019-7227) | `traversal.txt`, `nothing_leads_above_the_root`, `traversal` |
//! | bounce (CVE-1999-0017) | `bounce.txt`, `active.txt`, `nobody_else_is_called`, `bounce` |
//! | passive theft (CERT VU#2558) | `nobody_else_may_open_it`, `ports_vary_within_their_range`, `theft`, `guess` |
//! | long arguments (CVE-2020-6835) | `long_lines_for_every_verb`, `long_lines_before_login`, `long_names.txt`, `long_arguments` |
//! | use after a transfer is interrupted (CVE-2020-9273) | `killed_at_every_byte`, `retr_breaks.txt`, `stor_breaks.txt`, `killed_transfers` |
//! | recursive listing (CVE-2019-20176) | `list_recursive.txt`, `a_listing_of_a_deep_tree`, `a_listing_of_a_wide_tree`, `a_link_is_no_directory_of_a_directory`, `deep_and_wide` |
//! | wide globs, backtracking (CVE-2010-2632) | `glob.txt`, `the_worst_pattern_takes_no_time`, `deep_and_wide` |
//! | commands before TLS (CVE-2011-0411) | `auth_tls.txt`, `before_tls` |
//! | endless or split line (CVE-2008-4247) | `a_line_without_end`, `the_longest_line`, `endless_line`, `split_line` |
//! | connection exhaustion (CVE-2021-47865) | `one_session_too_many`, `no_session_to_refuse_with`, `ten_thousand_spoofed_syns_stop_nobody`, `three_hundred_clients_that_are_far_away_connect_in_a_flood`, `storm`, `dropped_connections` |
//! | symlink escape (CVE-2017-7418) | `a_link_swapped_during_the_call_does_not_lead_out`, `no_link_leads_out`, `traversal` |
//! | cross-protocol (CVE-2021-3618) | `http_post.txt`, `nonsense.txt`, `http`, `other_protocols` |
//! | REST overflow | `rest_arguments.txt`, `numbers`, `restart` |
//! | Telnet IAC (CVE-2010-4221) | `telnet.txt`, `floods_of_telnet_commands`, `telnet` |
//! | a reply inside a reply (CERT VU#328867) | `an_argument_never_begins_a_line`, `names.txt` |
//! | log and listing injection (CVE-2026-27699) | `listings_of_hostile_names`, `names.txt`, `nothing_forges_a_line`, `hostile_names` |

use std::fs;
use std::path::PathBuf;

#[path = "ftp/chaos.rs"]
mod chaos;
#[path = "ftp/corpus.rs"]
mod corpus;
#[path = "ftp/deflate.rs"]
mod deflate;
#[path = "ftp/fuzz.rs"]
mod fuzz;
#[path = "ftp/limits.rs"]
mod limits;
#[path = "ftp/net.rs"]
mod net;
#[path = "ftp/observer.rs"]
mod observer;
#[path = "ftp/random.rs"]
mod random;
#[path = "ftp/stories.rs"]
mod stories;
#[path = "ftp/telnet.rs"]
mod telnet;
#[path = "ftp/transcript.rs"]
mod transcript;
#[path = "ftp/watched.rs"]
mod watched;
#[path = "ftp/wire.rs"]
mod wire;
#[path = "../src/host/zlib.rs"]
mod zlib;

/// The tests that the table of attacks names are there.
#[test]
fn every_attack_has_its_tests() {
    let sources = sources(&["src", "tests"]);
    let table = include_str!("ftp.rs").split("# Attacks").nth(1).expect("the table of attacks");
    let rows = table.lines().filter(|line| line.starts_with("//! |")).skip(2);
    for row in rows {
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            let there = match test.strip_suffix(".txt") {
                Some(name) => transcript::names().iter().any(|known| known == name),
                None => {
                    ["fn", "def"].iter().any(|word| sources.contains(&format!("{word} {test}(")))
                }
            };
            assert!(there, "there is no {test}");
        }
    }
}

/// What is in all the Rust and Python files below the directories.
fn sources(directories: &[&str]) -> String {
    let mut text = String::new();
    let mut left: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { transcript::run(stringify!($name)); })*

        #[test]
        fn every_transcript_is_run() {
            assert_eq!(transcript::names(), [$(stringify!($name)),*]);
        }
    };
}

transcripts! {
    abandoned
    abor
    abor_synch
    abor_synch_behind_line
    abor_synch_name
    abor_waits
    account_root
    account_root_too_long
    active
    anonymous
    any_case
    appe
    ascii
    auth_tls
    avbl
    before_login
    bounce
    control_lost
    default_port
    dele
    directories
    during_transfer
    early_data_connection
    epsv_all
    feat_opts
    full
    glob
    half_closed
    half_closed_no_data
    half_closed_transfer
    hash
    hash_waits
    help
    host_lang_clnt_csid
    http_post
    idle
    idle_before_login
    idle_status
    ipv6
    late_data_connection
    line_ends
    list
    list_options
    list_recursive
    login
    long_names
    mfmt_mff
    mlst_mlsd
    mode_z
    names
    netstat
    nlst
    no_data_connection
    no_rights
    nonsense
    noop_syst_acct_allo
    overlap
    passive
    passive_address
    passive_fails
    passive_unclaimed
    penalty_ends
    quit
    quit_during_transfer
    rang
    rang_arguments
    rate
    read_only
    refused_transfer
    rein
    rename
    rest
    rest_arguments
    retr
    retr_breaks
    retr_half_open
    shutdown_deadline
    shutdown_hash
    shutdown_idle
    shutdown_transfer
    site
    size_mdtm
    slow_storage
    stat
    stat_path
    stat_progress
    stor
    stor_breaks
    storage_errors
    stou
    telnet
    traversal
    type_mode_stru
    unknown
    unsupported
    upload_limit
    user_names
    welcome
    wrong_password
    xcrc
}
