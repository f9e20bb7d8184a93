//! Random sessions with random faults. Whatever happens: each line gets exactly one final reply,
//! in order, with a code that RFC 959 section 5.4 has for its verb; the session goes on or ends
//! cleanly; and (see [`with_net`]) nothing leaks and every storage job is ended once.

use std::time::Duration;

use tinyftp::service::{ConnectError, Service};

use crate::net::{DATE, DataEnd, Net, REPLY_MAX, Setup, with_net};
use crate::observer::Observer;
use crate::random::Random;
use crate::transcript::pattern;
use crate::watched::Faults;

const LINES: &[&str] = &[
    "RETR a",
    "RETR big",
    "RETR no",
    "RETR d",
    "STOR a",
    "STOR new",
    "STOR d/x",
    "STOR no/x",
    "APPE a",
    "APPE new",
    "LIST",
    "LIST d",
    "LIST a",
    "LIST no",
    "LIST -R",
    "LIST -lRt d",
    "LIST -lt d",
    "LIST -Sr",
    "LIST -d d",
    "LIST -x *",
    "NLST -R",
    "NLST -l -- a",
    "NLST",
    "NLST d",
    "ABOR",
    "ABOR",
    "STAT",
    "STAT a",
    "MLST a",
    "MLSD",
    "MLSD a",
    "STAT a",
    "NOOP",
    "PASV",
    "PASV",
    "EPSV",
    "EPSV 2",
    "PORT 192,0,2,2,156,65",
    "PORT 1,2,3,4,5,6",
    "EPRT |1|192.0.2.2|40001|",
    "EPRT |1|",
    "TYPE A",
    "TYPE I",
    "TYPE E",
    "MODE S",
    "MODE B",
    "STRU F",
    "STRU Q",
    "REST 0",
    "REST 3",
    "REST 9999",
    "REST -1",
    "HASH a",
    "HASH big",
    "HASH d",
    "HASH no",
    "XCRC a",
    "XMD5 \"big\" 0 5000",
    "XSHA1 a 3 999",
    "XSHA256 \"a\" 3",
    "OPTS HASH MD5",
    "OPTS HASH X",
    "RANG 0 3",
    "RANG 2000 4999",
    "RANG 1 0",
    "RANG 2 1",
    "SIZE a",
    "SIZE d",
    "SIZE no",
    "MDTM a",
    "MDTM no",
    "DELE a",
    "DELE new",
    "DELE d",
    "MKD d",
    "MKD e",
    "MKD e/f",
    "RMD e",
    "RMD e/f",
    "RMD d",
    "RNFR a",
    "RNFR no",
    "RNTO b",
    "RNTO d/a",
    "CWD d",
    "CWD no",
    "CWD ..",
    "CDUP",
    "PWD",
    "FEAT",
    "HELP",
    "HELP RETR",
    "HELP NO",
    "SYST",
    "ALLO 1",
    "ACCT x",
    "OPTS UTF8 ON",
    "OPTS X",
    "SITE X",
    "STOU",
    "FOO",
    "RETR",
    "PWD x",
    "USER anna",
    "PASS secret",
    "PASS secret",
    "PASS wrong",
    "REIN",
    "QUIT",
];

/// One random session.
fn session(seed: u64) {
    let mut random = Random::new(seed);
    let setup = Setup {
        sessions: 1,
        control: *random.pick(&[REPLY_MAX, 800, 1024, 4096]),
        data: *random.pick(&[600, 1024, 3000]),
        blocks: *random.pick(&[20, 30, 64]),
        nodes: *random.pick(&[6, 24]),
        ..Setup::default()
    };
    with_net(setup, |net| {
        net.ftp.storage().make("/a", b"0123456789\r\n\n", DATE);
        net.ftp.storage().make("/big", &pattern(6000), DATE);
        net.ftp.storage().make("/d/", b"", DATE);
        let at = net.connect().expect("a session");
        net.log_in(at);
        net.restless = random.percent(30);
        net.ftp.storage().faults = Faults {
            errors: *random.pick(&[0, 0, 2, 10]),
            waits: *random.pick(&[0, 0, 20, 60]),
            short: *random.pick(&[0, 30]),
            random: Random::new(seed),
        };
        let mut observer = Observer::new();
        let reset = disturb(net, at, &mut random, &mut observer);
        finish(net, at, reset, &mut observer);
    });
}

/// Lines and faults; whether the control connection was reset.
fn disturb(net: &mut Net<'_, '_>, at: usize, random: &mut Random, observer: &mut Observer) -> bool {
    for _ in 0..80 {
        match random.below(100) {
            0..50 => speak(net, at, random, observer),
            50..85 => data_event(net, at, random),
            85..92 => net.elapse(Duration::from_millis(random.below(20_000))),
            92 => net.elapse(Duration::from_secs(random.below(310))),
            93 => net.refusal = Some(*random.pick(&[ConnectError::NoPort, ConnectError::NoSlot])),
            94 => net.ftp.storage().held = random.percent(50),
            95 if random.percent(20) => {
                net.clients[at].control.reset();
                net.wake(at);
                net.settle();
                return true;
            }
            96 if random.percent(20) => {
                net.ftp.shutdown(net.now + Duration::from_millis(random.below(30_000)));
                net.wake(at);
            }
            _ => net.settle(),
        }
        observer.hear(&net.clients[at].take_replies());
    }
    false
}

/// Sends a line, in one segment or in two, and waits for the reply or not.
fn speak(net: &mut Net<'_, '_>, at: usize, random: &mut Random, observer: &mut Observer) {
    let line = *random.pick(LINES);
    let bytes = format!("{line}\r\n");
    let (front, back) = bytes.split_at(random.below(bytes.len() as u64) as usize);
    net.clients[at].control.send(front.as_bytes());
    if random.percent(30) {
        net.settle();
        observer.hear(&net.clients[at].take_replies());
    }
    observer.ask(line.as_bytes());
    net.clients[at].control.send(back.as_bytes());
    if random.percent(70) {
        net.settle();
    }
}

/// Something happens to the data connection, or the client does something with it.
fn data_event(net: &mut Net<'_, '_>, at: usize, random: &mut Random) {
    match &mut net.clients[at].data {
        DataEnd::Listening(_) => {
            net.open_data(at).segment = 1 + random.below(900) as usize;
        }
        DataEnd::Connecting { .. } if random.percent(70) => {
            net.open_data(at);
        }
        DataEnd::Connecting { .. } => net.fail_data(at, ConnectError::Refused),
        DataEnd::Open(wire) => {
            match random.below(12) {
                0..4 => wire.send(&pattern(random.below(3000) as usize)),
                4..6 => wire.send_fin(),
                6 => wire.reset(),
                7..10 if wire.ended() => wire.acknowledge_fin(),
                _ => {
                    wire.take();
                }
            }
            net.wake(at);
        }
        DataEnd::Absent | DataEnd::Failed(_) => {}
    }
    if random.percent(60) {
        net.settle();
    }
}

/// The faults end, time goes by: every line must have been answered.
fn finish(net: &mut Net<'_, '_>, at: usize, reset: bool, observer: &mut Observer) {
    net.ftp.storage().held = false;
    net.ftp.storage().faults = Faults::default();
    net.settle();
    observer.hear(&net.clients[at].take_replies());
    let patience = 400 * (observer.unanswered().len() + 1);
    for _ in 0..patience {
        if net.clients[at].closed() || observer.unanswered().is_empty() {
            break;
        }
        net.elapse(Duration::from_secs(1));
        observer.hear(&net.clients[at].take_replies());
    }
    assert!(reset || observer.pending().is_empty(), "half a reply: {}", observer.pending());
    assert!(reset || net.clients[at].closed() == observer.over, "closed without a word");
    let left = observer.unanswered();
    assert!(reset || observer.over || left.is_empty(), "not answered: {left:?}");
    if !net.clients[at].closed() {
        assert_eq!(net.say(at, "NOOP"), "200 OK\r\n");
    }
}

#[test]
fn one_final_reply_a_command() {
    for seed in 0..1500 {
        let result = std::panic::catch_unwind(|| session(seed));
        assert!(result.is_ok(), "the session of seed {seed}");
    }
}
