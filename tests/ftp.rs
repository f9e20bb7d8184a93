//! The FTP server from the outside: bytes in, bytes out, on a clock of the tests' own.
//!
//! | file | what it is |
//! |---|---|
//! | `wire` | a TCP connection in memory |
//! | `watched` | a RAM disk that fails on demand and counts its jobs |
//! | `net` | carries out the actions of the server |
//! | `transcript` | runs the sessions that are written down in `tests/transcripts` |
//! | `stories` | several clients, long inputs, every byte of a session |
//! | `limits` | what accounts may do, and how much of it |
//! | `chaos` | random sessions with random faults |

#[path = "ftp/chaos.rs"]
mod chaos;
#[path = "ftp/limits.rs"]
mod limits;
#[path = "ftp/net.rs"]
mod net;
#[path = "ftp/random.rs"]
mod random;
#[path = "ftp/stories.rs"]
mod stories;
#[path = "ftp/transcript.rs"]
mod transcript;
#[path = "ftp/watched.rs"]
mod watched;
#[path = "ftp/wire.rs"]
mod wire;

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
    abor
    abor_synch
    abor_synch_behind_line
    abor_waits
    account_root
    account_root_too_long
    active
    anonymous
    any_case
    appe
    ascii
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
    login
    long_names
    mfmt_mff
    mlst_mlsd
    names
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
