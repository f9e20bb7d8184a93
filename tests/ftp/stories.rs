//! What does not fit a transcript: several clients, long inputs, every byte of a session.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use miniz_oxide::inflate::decompress_to_vec_zlib;
use tinyftp::ftp::Config;
use tinyftp::service::Service;

use crate::net::{DATE, DataEnd, Net, REPLY_MAX, Setup, with_net};
use crate::transcript::pattern;

const READY: &str = "220 tinyftp ready\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A client that was greeted.
fn greeted(net: &mut Net<'_, '_>) -> usize {
    let at = net.connect().expect("a session");
    net.settle();
    assert_eq!(net.clients[at].take_replies(), READY);
    at
}

/// A client that may do everything.
fn logged_in(net: &mut Net<'_, '_>) -> usize {
    let at = net.connect().expect("a session");
    net.log_in(at);
    at
}

/// Fetches with `command`; what came.
pub fn fetch(net: &mut Net<'_, '_>, at: usize, command: &str) -> Vec<u8> {
    let (content, reply) = fetch_anyhow(net, at, command);
    assert_eq!(reply, "226 Transfer complete\r\n");
    content
}

/// The same, with the final reply.
fn fetch_anyhow(net: &mut Net<'_, '_>, at: usize, command: &str) -> (Vec<u8>, String) {
    assert!(net.say(at, command).starts_with("150 "));
    net.open_data(at);
    net.settle();
    let content = net.receive(at);
    net.clients[at].data_wire().expect("a data connection").acknowledge_fin();
    net.wake(at);
    net.settle();
    (content, net.clients[at].take_replies())
}

/// The verbs that the server says it knows, without those that it does not implement.
fn verbs(net: &mut Net<'_, '_>, at: usize) -> Vec<String> {
    let help = net.say(at, "HELP");
    let lines = help.lines().filter(|line| line.starts_with(' '));
    let verbs: Vec<_> = lines.flat_map(str::split_whitespace).map(str::to_owned).collect();
    assert!(verbs.len() > 30, "{help}");
    verbs.into_iter().map(|verb| verb.trim_end_matches('*').to_owned()).collect()
}

#[test]
fn one_session_too_many() {
    let config = Config { max_sessions: 2, start: DATE, ..Config::default() };
    with_net(Setup { config, sessions: 3, ..Setup::default() }, |net| {
        let (first, second) = (logged_in(net), logged_in(net));
        for _ in 0..3 {
            let third = net.connect().expect("a session to refuse with");
            net.settle();
            let refusal = "421 Too many sessions, try again later\r\n";
            assert_eq!(net.clients[third].take_replies(), refusal);
            assert!(net.clients[third].closed());
        }
        assert_eq!(net.say(first, "NOOP"), "200 OK\r\n");
        assert_eq!(net.say(second, "QUIT"), "221 Goodbye\r\n");
        greeted(net);
    });
}

#[test]
fn no_session_to_refuse_with() {
    let config = Config { max_sessions: 2, start: DATE, ..Config::default() };
    with_net(Setup { config, sessions: 2, ..Setup::default() }, |net| {
        let (first, _second) = (greeted(net), greeted(net));
        assert!(net.connect().is_none());
        assert_eq!(net.say(first, "QUIT"), "221 Goodbye\r\n");
        greeted(net);
    });
}

#[test]
fn ten_thousand_sessions_one_after_the_other() {
    with_net(Setup { sessions: 1, ..Setup::default() }, |net| {
        for _ in 0..10_000 {
            let at = greeted(net);
            assert_eq!(net.say(at, "QUIT"), "221 Goodbye\r\n");
            net.clients.clear();
        }
    });
}

#[test]
fn a_stalled_session_does_not_disturb_the_others() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().make("/big", &pattern(5000), DATE);
        let (slow, quick) = (logged_in(net), logged_in(net));
        assert!(net.say(slow, "RETR big").starts_with("150 "));
        net.open_data(slow);
        net.settle();
        assert_eq!(fetch(net, quick, "RETR big"), pattern(5000));
        assert_eq!(net.say(quick, "NOOP"), "200 OK\r\n");
        // What the slow one reads is replaced meanwhile: it gets the old content to the end.
        assert_eq!(net.say(quick, "DELE big"), "250 Deleted\r\n");
        assert_eq!(net.receive(slow), pattern(5000));
    });
}

#[test]
fn shutdown_tells_every_session() {
    with_net(Setup::default(), |net| {
        let (idle, busy, new) = (logged_in(net), logged_in(net), greeted(net));
        assert!(net.say(busy, "STOR a").starts_with("150 "));
        net.open_data(busy).send(b"content");
        net.settle();
        net.ftp.shutdown(net.now + seconds(10));
        for at in [idle, busy, new] {
            net.wake(at);
        }
        net.settle();
        let goodbye = "421 The server is shutting down\r\n";
        assert_eq!(net.clients[idle].take_replies(), goodbye);
        assert_eq!(net.clients[new].take_replies(), goodbye);
        assert_eq!(net.clients[busy].take_replies(), "");
        // Who comes now is told so, too.
        let late = net.connect().expect("a session");
        net.settle();
        assert!(net.clients[late].take_replies().ends_with(goodbye));
        net.clients[busy].data_wire().expect("a data connection").send_fin();
        net.settle();
        let replies = net.clients[busy].take_replies();
        assert_eq!(replies, format!("226 Transfer complete\r\n{goodbye}"));
        assert!(net.clients.iter().all(|client| client.closed()));
        assert_eq!(net.ftp.storage().content("/a").as_deref(), Some(&b"content"[..]));
    });
}

/// The last moment of a shutdown waits for nobody: not for a client that does not read its
/// replies, nor for storage.
#[test]
fn shutdown_waits_for_nobody() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().make("/b", b"content", DATE);
        let (deaf, stored, looked) = (logged_in(net), logged_in(net), logged_in(net));
        net.clients[deaf].reads = false;
        net.send(deaf, "HELP\r\n".repeat(20).as_bytes());
        assert!(net.say(stored, "STOR a").starts_with("150 "));
        net.open_data(stored).send(b"content");
        net.settle();
        net.ftp.storage().held = true;
        net.clients[stored].data_wire().expect("a data connection").send_fin();
        assert_eq!(net.say(looked, "SIZE b"), "");
        net.ftp.shutdown(net.now + seconds(10));
        for at in [deaf, stored, looked] {
            net.wake(at);
        }
        net.settle();
        net.elapse(Duration::from_millis(9_999));
        assert!(net.clients.iter().all(|client| !client.closed()));
        net.elapse(Duration::from_millis(1));
        assert!(net.clients.iter().all(|client| client.closed()));
        let goodbye = "421 The server is shutting down\r\n";
        let aborted = "426 The server is shutting down, transfer aborted\r\n";
        assert_eq!(net.clients[stored].take_replies(), format!("{aborted}{goodbye}"));
        assert_eq!(net.clients[looked].take_replies(), goodbye);
        assert_eq!(net.ftp.storage().content("/a"), None);
    });
}

#[test]
fn long_lines_for_every_verb() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().make("/a", b"content", DATE);
        let at = logged_in(net);
        for verb in verbs(net, at) {
            // 64 KiB, with something in it that a server of smaller buffers would execute.
            let line =
                format!("{verb} {}\rDELE a\r{}", "a".repeat(32 * 1024), "/".repeat(32 * 1024));
            assert_eq!(net.say(at, &line), "500 Line too long\r\n", "{verb}");
            assert_eq!(net.say(at, "NOOP"), "200 OK\r\n", "{verb}");
        }
        assert_eq!(net.ftp.storage().content("/a").as_deref(), Some(&b"content"[..]));
    });
}

#[test]
fn the_longest_line() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        for (length, reply) in
            [(254, "200 OK\r\n"), (255, "200 OK\r\n"), (257, "500 Line too long\r\n")]
        {
            assert_eq!(net.say(at, &format!("NOOP {}", "x".repeat(length - 5))), reply, "{length}");
        }
    });
}

#[test]
fn a_line_without_end() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        for _ in 0..160 {
            net.send(at, &[b'x'; 64 * 1024]);
        }
        assert_eq!(net.clients[at].take_replies(), "");
        assert_eq!(net.say(at, "\nNOOP"), "500 Line too long\r\n200 OK\r\n");
        // A CR of a long line is no end, and what follows it is no command.
        net.send(at, &[b'x'; 300]);
        assert_eq!(net.say(at, "\rMKD owned"), "500 Line too long\r\n");
        assert_eq!(net.say(at, "SIZE owned"), "550 No such file or directory\r\n");
    });
}

#[test]
fn long_lines_before_login() {
    with_net(Setup::default(), |net| {
        let at = greeted(net);
        let line = "USER ".to_owned() + &"a".repeat(64 * 1024);
        for _ in 1..5 {
            assert_eq!(net.say(at, &line), "500 Line too long\r\n");
        }
        assert_eq!(net.say(at, &line), "421 Too many failures, closing\r\n");
        assert!(net.clients[at].closed());
    });
}

#[test]
fn floods_of_telnet_commands() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        // IAC NOP; IAC DO ECHO; IAC IAC, which is a byte of the line.
        net.send(at, &b"\xff\xf1".repeat(100_000));
        net.send(at, &b"\xff\xfd\x01".repeat(100_000));
        assert_eq!(net.say(at, "NOOP"), "200 OK\r\n");
        net.send(at, &[0xff; 100_000]);
        assert_eq!(net.say(at, ""), "500 Line too long\r\n");
        assert_eq!(net.say(at, "NOOP"), "200 OK\r\n");
    });
}

#[test]
fn a_client_that_does_not_read_is_not_served() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        net.clients[at].reads = false;
        for n in 0..100 {
            net.send(at, format!("MKD {n}\r\n").as_bytes());
        }
        // Some replies are in the buffer; the commands without room for theirs are not done.
        let unread = net.clients[at].control.unread();
        assert!(unread > 500, "only {unread} bytes wait");
        assert_eq!(net.say(at, ""), "");
        net.clients[at].reads = true;
        net.settle();
        let replies = net.clients[at].take_replies();
        assert_eq!(replies.lines().filter(|line| line.starts_with("257 ")).count(), 24);
        assert_eq!(replies.lines().filter(|line| line.starts_with("452 ")).count(), 76);
        assert_eq!(net.clients[at].control.unread(), 0);
    });
}

#[test]
fn a_client_that_never_reads_is_closed() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        net.clients[at].reads = false;
        net.send(at, "HELP\r\n".repeat(100).as_bytes());
        net.elapse(seconds(299));
        assert!(!net.clients[at].closed());
        net.elapse(seconds(1));
        assert!(net.clients[at].closed());
    });
}

/// The longest reply fits a transmit buffer of `REPLY_MAX` bytes, and is whole.
#[test]
fn the_longest_reply() {
    with_net(Setup { control: REPLY_MAX, ..Setup::default() }, |net| {
        let at = logged_in(net);
        let mut path = String::new();
        for length in [96, 96, 59] {
            let name = "\"".repeat(length);
            path = format!("{path}/{}", "\"".repeat(2 * length));
            assert_eq!(net.say(at, &format!("MKD {name}")), format!("257 \"{path}\" created\r\n"));
            assert_eq!(net.say(at, &format!("CWD {name}")), "250 Directory changed\r\n");
        }
        let reply = format!("257 \"{path}\" is the current directory\r\n");
        assert_eq!(net.say(at, "PWD"), reply);
        assert!(net.say(at, "HELP").ends_with("\r\n214 End\r\n"));
        assert!(net.say(at, "FEAT").ends_with("\r\n211 End\r\n"));
        assert!(net.say(at, "STAT").ends_with("\r\n211 End of status\r\n"));
        // Together they do not fit, so each waits for the one before to be acknowledged.
        let replies = net.say(at, "PWD\r\nPWD\r\nHELP\r\nPWD");
        assert_eq!(replies.matches(&reply).count(), 3);
    });
}

/// RFC 2389: what FEAT lists is there.
#[test]
fn feat_tells_the_truth() {
    with_net(Setup { codecs: 1, ..Setup::default() }, |net| {
        net.ftp.storage().make("/a", b"0123456789", DATE);
        let at = greeted(net);
        let reply = net.say(at, "FEAT");
        net.log_in(at);
        let mut lines: Vec<&str> = reply.lines().collect();
        assert_eq!((lines.remove(0), lines.pop()), ("211-Features:", Some("211 End")));
        for line in lines {
            let feature = line.strip_prefix(' ').expect("a space in front of a feature");
            match feature {
                "EPRT" => {
                    assert_eq!(net.say(at, "EPRT |1|192.0.2.2|40001|"), "200 Data port set\r\n");
                    assert_eq!(fetch(net, at, "RETR a"), b"0123456789");
                }
                "EPSV" => {
                    let reply = "229 Entering extended passive mode (|||50000|)\r\n";
                    assert_eq!(net.say(at, "EPSV"), reply);
                    assert_eq!(fetch(net, at, "RETR a"), b"0123456789");
                }
                "MDTM" => assert_eq!(net.say(at, "MDTM a"), "213 20261121123456\r\n"),
                "SIZE" => assert_eq!(net.say(at, "SIZE a"), "213 10\r\n"),
                "REST STREAM" => {
                    assert!(net.say(at, "REST 7").starts_with("350 "));
                    assert_eq!(fetch(net, at, "RETR a"), b"789");
                }
                "HASH SHA-256*;SHA-1;MD5;CRC32;" => {
                    for name in ["SHA-1", "MD5", "CRC32", "SHA-256"] {
                        let selected = format!("200 {name}\r\n");
                        assert_eq!(net.say(at, &format!("OPTS HASH {name}")), selected);
                        let hashed = net.say(at, "HASH a");
                        assert!(hashed.starts_with(&format!("213 {name} 0-9 ")), "{hashed}");
                    }
                }
                "XCRC" => assert_eq!(net.say(at, "XCRC a"), "250 A684C7C6\r\n"),
                "XMD5" | "XSHA1" | "XSHA256" => {
                    let checksum = net.say(at, &format!("{feature} \"a\" 0 10"));
                    let digits = match feature {
                        "XMD5" => 32,
                        "XSHA1" => 40,
                        _ => 64,
                    };
                    assert!(checksum.starts_with("250 "), "{checksum}");
                    assert_eq!(checksum.trim_end().len(), 4 + digits);
                }
                "RANG STREAM" => {
                    assert!(net.say(at, "RANG 2 5").starts_with("350 "));
                    assert_eq!(fetch(net, at, "RETR a"), b"2345");
                }
                "MLST type*;size*;modify*;perm*;unique*;UNIX.mode*;" => {
                    let facts = "type=file;size=10;modify=20261121123456;perm=adfrw;unique=1;";
                    let reply = format!("250-Facts:\r\n {facts} /a\r\n250 End\r\n");
                    assert_eq!(net.say(at, "MLST a"), reply);
                    let line = format!("{facts} a\r\n");
                    assert_eq!(fetch(net, at, "MLSD"), line.as_bytes());
                }
                "TVFS" => {
                    assert_eq!(net.say(at, "CWD /./.."), "250 Directory changed\r\n");
                    assert_eq!(net.say(at, "SIZE /x/..//a"), "213 10\r\n");
                }
                "MODE Z" => {
                    assert!(net.say(at, "MODE Z").starts_with("200 "));
                    let sent = fetch(net, at, "RETR a");
                    assert_eq!(decompress_to_vec_zlib(&sent).expect("a stream"), b"0123456789");
                    assert!(net.say(at, "MODE S").starts_with("200 "));
                }
                "CLNT" => assert!(net.say(at, "CLNT x").starts_with("200 ")),
                "CSID" => assert!(net.say(at, "CSID Name=x;").starts_with("200 Name=tinyftp;")),
                "LANG EN*" => assert!(net.say(at, "LANG EN").starts_with("200 ")),
                "HOST" => {
                    let other = greeted(net);
                    assert!(net.say(other, "HOST a").starts_with("220 "));
                    net.say(other, "QUIT");
                }
                "MFMT" => {
                    for date in ["20000229123456", "20261121123456"] {
                        let reply = format!("213 Modify={date}; /a\r\n");
                        assert_eq!(net.say(at, &format!("MFMT {date} a")), reply);
                    }
                }
                "MFF modify;UNIX.mode;" => {
                    let set = "MFF modify=20261121123456; a";
                    assert_eq!(net.say(at, set), "213 Modify=20261121123456; /a\r\n");
                    assert!(net.say(at, "MFF UNIX.mode=0644; a").starts_with("550 "));
                }
                "AVBL" => assert!(net.say(at, "AVBL").starts_with("213 ")),
                "UTF8" => {
                    assert!(net.say(at, "OPTS UTF8 ON").starts_with("200 "));
                    assert_eq!(net.say(at, "MKD Größe"), "257 \"/Größe\" created\r\n");
                    assert_eq!(fetch(net, at, "NLST"), "Größe\r\na\r\n".as_bytes());
                }
                other => panic!("FEAT lists {other}, and this test does not know how to try it"),
            }
        }
        // And what is not listed is not done.
        for absent in ["AUTH TLS", "PROT P"] {
            assert!(net.say(at, absent).starts_with("502 "), "{absent}");
        }
    });
}

/// Every verb of HELP gets a reply, with and without an argument, and none is unknown.
#[test]
fn every_verb_is_answered() {
    with_net(Setup::default(), |net| {
        let at = greeted(net);
        let verbs = verbs(net, at);
        for verb in verbs.iter().filter(|verb| *verb != "QUIT") {
            for line in [verb.clone(), format!("{verb} x"), verb.to_lowercase()] {
                let at = logged_in(net);
                let mut replies = net.say(at, &line);
                if replies.starts_with("150 ") {
                    replies = net.say(at, "ABOR");
                }
                net.elapse(seconds(1));
                replies += &net.clients[at].take_replies();
                let unknown = replies.starts_with("500 ") && line != "HELP x";
                assert!(replies.len() > 5 && !unknown, "{line}: {replies}");
                net.say(at, "QUIT");
            }
        }
    });
}

/// What the peer acknowledges is progress, also when everything has long been queued.
#[test]
fn a_slow_reader_does_not_stall() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().make("/a", &pattern(3000), DATE);
        let at = logged_in(net);
        assert!(net.say(at, "RETR a").starts_with("150 "));
        net.open_data(at);
        let mut content = Vec::new();
        while content.len() < 3000 {
            net.elapse(seconds(200));
            let wire = net.clients[at].data_wire().expect("a data connection");
            content.extend_from_slice(&wire.take_some(100));
            net.wake(at);
            assert_eq!(net.clients[at].take_replies(), "");
        }
        net.settle();
        net.elapse(seconds(200));
        net.clients[at].data_wire().expect("a data connection").acknowledge_fin();
        net.wake(at);
        net.settle();
        assert_eq!(net.clients[at].take_replies(), "226 Transfer complete\r\n");
        assert_eq!(content, pattern(3000));
    });
}

/// Lines of a listing are whole, however small the transmit buffer is.
#[test]
fn long_listings() {
    with_net(Setup { data: 400, ..Setup::default() }, |net| {
        let at = logged_in(net);
        let (mut names, mut lines) = (String::new(), String::new());
        for number in (10..30).rev() {
            let name = format!("{}{number}", "n".repeat(number * 3));
            net.ftp.storage().make(&format!("/{name}"), b"", DATE);
            names.insert_str(0, &format!("{name}\r\n"));
            let line = "-rw-r--r-- 1 owner group            0 Nov 21 12:34 ";
            lines.insert_str(0, &format!("{line}{name}\r\n"));
        }
        assert_eq!(String::from_utf8(fetch(net, at, "NLST")).unwrap(), names);
        assert_eq!(String::from_utf8(fetch(net, at, "LIST")).unwrap(), lines);
    });
}

/// CVE-2026-27699: a name that some other program made does not forge a line.
#[test]
fn listings_of_hostile_names() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().make("/a\r\n226 b\x1b[2J", b"", DATE);
        let at = logged_in(net);
        assert_eq!(fetch(net, at, "NLST"), b"a??226 b?[2J\r\n");
        let line = "-rw-r--r-- 1 owner group            0 Nov 21 12:34 a??226 b?[2J\r\n";
        assert_eq!(fetch(net, at, "LIST"), line.as_bytes());
        assert_eq!(fetch(net, at, "LIST a*J"), line.as_bytes());
        assert_eq!(net.say(at, "STAT /").lines().nth(1), Some(line.trim_end()));
        net.say(at, "OPTS MLST type;");
        assert_eq!(fetch(net, at, "MLSD"), b"type=file; a??226 b?[2J\r\n");
        net.ftp.storage().make("/-rw-r--r-- 1 o g 0 Nov 21 12:34 \r\nx/", b"", DATE);
        let listing = String::from_utf8(fetch(net, at, "LIST -R")).unwrap();
        assert!(
            listing.ends_with("\r\n\r\n./-rw-r--r-- 1 o g 0 Nov 21 12:34 ??x:\r\n"),
            "{listing}"
        );
    });
}

/// CERT VU#328867: a firewall that looks for replies in the stream finds none that an argument
/// has brought there.
#[test]
fn an_argument_never_begins_a_line() {
    let forged = "227 Entering passive mode (10,0,0,1,0,22)";
    with_net(Setup::default(), |net| {
        net.ftp.storage().make(&format!("/{forged}"), b"", DATE);
        let at = greeted(net);
        for verb in verbs(net, at).iter().filter(|verb| *verb != "QUIT") {
            for before in ["", "/", "x\r", "x\n", "\"", "a/../", "-l "] {
                let at = logged_in(net);
                let mut replies = net.say(at, &format!("{verb} {before}{forged}"));
                if replies.starts_with("150 ") {
                    replies += &net.say(at, "ABOR");
                }
                net.elapse(seconds(1));
                replies += &net.say(at, "PWD\r\nSTAT\r\nQUIT");
                let begins = replies.split(['\r', '\n']).any(|line| line.starts_with("227"));
                assert!(!begins, "{verb} {before:?}: {replies}");
            }
        }
    });
}

const CUT_OFF: &str = "226 The listing was cut off: too many entries, or a path too long\r\n";

/// CVE-2019-20176: how deep a tree is listed hangs on the longest path alone, not on a stack.
#[test]
fn a_listing_of_a_deep_tree() {
    with_net(Setup { nodes: 2000, ..Setup::default() }, |net| {
        let mut path = String::from("/");
        for _ in 0..900 {
            path.push_str("d/");
            net.ftp.storage().make(&path, b"", DATE);
            net.ftp.storage().make(&format!("{path}f"), b"", DATE);
        }
        let (at, other) = (logged_in(net), logged_in(net));
        let (listing, reply) = fetch_anyhow(net, at, "LIST -R");
        // A path of 256 bytes.
        let deepest = "/d".repeat(128);
        let listing = String::from_utf8(listing).unwrap();
        assert_eq!(listing.matches(":\r\n").count(), 128);
        assert!(listing.contains(&format!("\r\n.{deepest}:\r\n")), "{listing}");
        assert_eq!(reply, CUT_OFF);
        assert_eq!(net.say(other, "NOOP"), "200 OK\r\n");
        // From further down it is the same; and what fits is not cut off.
        assert!(net.say(at, &format!("CWD {}", "d/".repeat(120))).starts_with("250 "));
        let (names, reply) = fetch_anyhow(net, at, "NLST -R");
        assert_eq!(String::from_utf8(names).unwrap().matches("\r\n").count(), 9 * 2);
        assert_eq!(reply, CUT_OFF);
        let lines = fetch(net, at, "LIST -R d/d/d/d/f");
        assert!(lines.ends_with(b" f\r\n"));
    });
}

/// A wide tree: it has an end, and while storage looks for directories without anything to be
/// sent, the others are served (`Net` sees that no poll does more than its share).
#[test]
fn a_listing_of_a_wide_tree() {
    with_net(Setup { nodes: 5100, data: 4096, ..Setup::default() }, |net| {
        let mut names = [String::new(), String::new()];
        for outer in 10..60 {
            net.ftp.storage().make(&format!("/{outer}/"), b"", DATE);
            names[0] += &format!("{outer}\r\n");
            for inner in 100..199 {
                net.ftp.storage().make(&format!("/{outer}/{inner}/"), b"", DATE);
                names[1] += &format!("{outer}/{inner}\r\n");
            }
        }
        // 5,000 entries, and each is a directory to be opened: as many as may be.
        let (at, other) = (logged_in(net), logged_in(net));
        assert_eq!(String::from_utf8(fetch(net, at, "NLST -R")).unwrap(), names.concat());
        assert_eq!(net.say(other, "NOOP"), "200 OK\r\n");
        net.ftp.storage().make("/59/198/file", b"", DATE);
        let (listed, reply) = fetch_anyhow(net, at, "NLST -R");
        assert_eq!(String::from_utf8(listed).unwrap(), names.concat());
        assert_eq!(reply, CUT_OFF);
        assert!(fetch(net, at, "LIST -R 59").ends_with(b" file\r\n"));
    });
}

/// CVE-2020-9273: the control or the data connection goes at any byte of a session.
#[test]
fn killed_at_every_byte() {
    let script: &[u8] = b"USER anna\r\nPASS secret\r\nTYPE I\r\nREST 3\r\nSTOR old\r\nRNFR old\r\n\
        RNTO new\r\nHASH new\r\nXMD5 new 1 5\r\nRETR new\r\nLIST\r\nABOR\r\nAPPE new\r\nNOOP\r\nDELE new\r\nQUIT\r\n";
    for victim in ["control", "control FIN", "data"] {
        for killed_at in 0..script.len() {
            with_net(Setup { sessions: 1, ..Setup::default() }, |net| {
                net.ftp.storage().make("/old", b"old content", DATE);
                let at = greeted(net);
                net.send(at, &script[..killed_at]);
                for _ in 0..8 {
                    if let DataEnd::Connecting { .. } = net.clients[at].data {
                        net.open_data(at).send(b"some bytes");
                    }
                    net.settle();
                    match (victim, &mut net.clients[at].data) {
                        ("data", DataEnd::Open(wire)) => wire.reset(),
                        (_, DataEnd::Open(wire)) => wire.send_fin(),
                        _ => {}
                    }
                    net.wake(at);
                }
                match victim {
                    "control" => net.clients[at].control.reset(),
                    "control FIN" => net.clients[at].control.send_fin(),
                    _ => net.send(at, &script[killed_at..]),
                }
                net.wake(at);
                net.settle();
                assert!(victim != "control" || net.clients[at].closed());
                // Whatever it was: the server goes on.
                net.elapse(seconds(700));
                assert!(net.clients[at].closed(), "{victim} at {killed_at}");
                greeted(net);
            });
        }
    }
}

/// Bytes that a poll may hash.
const SLICE: u64 = 16 * 1024;

/// A hash that takes its time takes no time from the others, and ends when its client wants.
#[test]
fn a_large_file_is_hashed_in_slices() {
    with_net(Setup::default(), |net| {
        net.ftp.storage().zeros = 200 << 30;
        let (hashing, other) = (logged_in(net), logged_in(net));
        net.clients[hashing].control.send(b"HASH zeros\r\n");
        net.turns(100);
        for turn in 0..200 {
            net.clients[other].control.send(b"NOOP\r\n");
            net.turns(4);
            assert_eq!(net.clients[other].take_replies(), "200 OK\r\n", "{turn}");
        }
        assert_eq!(net.clients[hashing].take_replies(), "");
        let hashed = net.ftp.storage().read;
        assert!(hashed > 800 * SLICE, "{hashed} bytes in 900 turns");
        // More of the same does not make a poll longer.
        net.clients[hashing].control.send(&b"ABOR\r\nHASH zeros\r\n".repeat(20));
        net.turns(100);
        assert_eq!(net.say(hashing, "ABOR").matches("426 Hash aborted\r\n226 ").count(), 21);
        net.ftp.storage().zeros = 10_000;
        net.send(hashing, &b"XCRC zeros\r\n".repeat(40));
        assert_eq!(net.clients[hashing].take_replies().matches("250 ").count(), 40);
        assert_eq!(net.most_read, SLICE);
    });
}

/// However many hash, a turn of the network stays short; and those that left do not count.
#[test]
fn who_hashes_shares_a_turn_with_the_others() {
    with_net(Setup { sessions: 16, ..Setup::default() }, |net| {
        net.ftp.storage().zeros = 200 << 30;
        let mut clients = [0; 16].map(|_| logged_in(net)).to_vec();
        for &at in &clients {
            net.clients[at].control.send(b"HASH zeros\r\n");
        }
        net.turns(10);
        let before = net.ftp.storage().read;
        net.turns(1);
        assert_eq!(net.ftp.storage().read - before, 64 * 1024);
        let last = clients.pop().expect("a client");
        for at in clients {
            net.clients[at].control.reset();
        }
        net.turns(10);
        let before = net.ftp.storage().read;
        net.turns(1);
        assert_eq!(net.ftp.storage().read - before, SLICE);
        net.say(last, "ABOR");
    });
}

#[test]
fn sums_of_large_files() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        net.ftp.storage().zeros = 4 << 20;
        let whole = "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8";
        assert_eq!(net.say(at, "HASH zeros"), format!("213 SHA-256 0-4194303 {whole} /zeros\r\n"));
        // The last bytes that a file may have.
        net.ftp.storage().zeros = i64::MAX as u64;
        let some = "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53";
        for first in [5_000_000_000, i64::MAX as u64 - 1000] {
            let last = first + 999;
            assert!(net.say(at, &format!("RANG {first} {last}")).starts_with("350 "));
            let reply = format!("213 SHA-256 {first}-{last} {some} /zeros\r\n");
            assert_eq!(net.say(at, "HASH zeros"), reply);
            let command = format!("XCRC zeros {first} {}", first + 1000);
            assert_eq!(net.say(at, &command), "250 060B1780\r\n");
        }
        assert!(net.say(at, "RANG 4294967290 4294967299").starts_with("350 "));
        assert_eq!(fetch(net, at, "RETR zeros"), [0; 10]);
    });
}

/// What was read is hashed, and that is told. Where it cannot be told, it must be what was asked for.
#[test]
fn a_file_changes_while_it_is_hashed() {
    with_net(Setup::default(), |net| {
        let at = logged_in(net);
        net.say(at, "OPTS HASH CRC32");
        for (command, size, reply) in [
            ("HASH zeros", 50_000, "213 CRC32 0-49999 16b7b325 /zeros\r\n"),
            ("HASH zeros", 150_000, "213 CRC32 0-149999 987885dd /zeros\r\n"),
            ("XCRC zeros 0 100000", 50_000, "554 The offset lies past the end of the file\r\n"),
        ] {
            net.ftp.storage().zeros = 100_000;
            net.clients[at].control.send(format!("{command}\r\n").as_bytes());
            net.turns(3);
            assert_eq!(net.clients[at].take_replies(), "");
            net.ftp.storage().zeros = size;
            net.settle();
            assert_eq!(net.clients[at].take_replies(), reply);
        }
    });
}

/// Every cut of an upload, with FIN apart and FIN in the last segment.
#[test]
fn uploads_at_every_cut() {
    let content = b"one\r\ntwo\r\r\n\rthree\r\n\r\n";
    for (kind, stored) in [("I", &content[..]), ("A", b"one\ntwo\r\n\rthree\n\n")] {
        for (segment, apart) in (1..=content.len()).flat_map(|n| [(n, false), (n, true)]) {
            with_net(Setup { data: 1 + segment % 9, ..Setup::default() }, |net| {
                let at = logged_in(net);
                assert!(net.say(at, &format!("TYPE {kind}")).starts_with("200 "));
                assert!(net.say(at, "STOR a").starts_with("150 "));
                let wire = net.open_data(at);
                wire.segment = segment;
                wire.send(content);
                if apart {
                    net.settle();
                }
                net.clients[at].data_wire().expect("a data connection").send_fin();
                net.settle();
                assert_eq!(net.clients[at].take_replies(), "226 Transfer complete\r\n");
                assert_eq!(net.ftp.storage().content("/a").as_deref(), Some(stored));
            });
        }
    }
}

/// A verb without a transcript has not been thought through.
#[test]
fn every_verb_has_its_transcripts_good_and_bad() {
    let (mut good, mut bad) = (HashSet::new(), HashSet::new());
    for entry in std::fs::read_dir("tests/transcripts").expect("the transcripts") {
        let text = std::fs::read_to_string(entry.expect("a transcript").path()).expect("text");
        let mut unanswered = VecDeque::new();
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("C: ") {
                let verb = command.split(' ').next().unwrap_or_default();
                unanswered.push_back(verb.to_ascii_uppercase());
            } else if let [b'S', b':', b' ', class @ b'2'..=b'5', _, _, b' ', ..] = line.as_bytes()
                && let Some(verb) = unanswered.pop_front()
            {
                if *class < b'4' {
                    good.insert(verb)
                } else {
                    bad.insert(verb)
                };
            }
        }
    }
    with_net(Setup::default(), |net| {
        let at = greeted(net);
        let unsupported = ["AUTH", "PBSZ", "PROT", "SMNT"];
        for verb in verbs(net, at) {
            assert!(good.contains(&verb) || unsupported.contains(&&*verb), "{verb} is never done");
            // NOOP takes anything.
            assert!(bad.contains(&verb) || verb == "NOOP", "{verb} is never refused");
        }
    });
}
