//! The FTP server from the outside: bytes in, bytes out, on a clock of the tests' own.
//!
//! | file | what it is |
//! |---|---|
//! | `wire` | a TCP connection in memory |
//! | `watched` | a RAM disk that fails on demand and counts its jobs |
//! | `net` | carries out the actions of the server |
//! | `transcript` | runs the sessions that are written down in `tests/transcripts` |

#[path = "ftp/net.rs"]
mod net;
#[path = "ftp/random.rs"]
mod random;
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

transcripts! { login }
