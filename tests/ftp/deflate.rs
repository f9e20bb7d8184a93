//! MODE Z (draft-preston-ftpext-deflate-04): what is on the wire.

use std::time::Duration;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use tinyftp::ftp::Config;

use crate::net::{DATE, Net, Setup, with_net};
use crate::stories::fetch;
use crate::transcript::pattern;

const COMPLETE: &str = "226 Transfer complete\r\n";
const NO_STREAM: &str = "426 That was no whole zlib stream, transfer aborted\r\n";

/// Something that gets smaller, of that many lines.
fn text(lines: usize) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("line {line} of a file\n").into_bytes()).collect()
}

fn with_codecs(codecs: usize, test: impl FnOnce(&mut Net<'_, '_>)) {
    let config = Config { start: DATE, ..Config::default() };
    with_net(Setup { config, codecs, blocks: 1000, ..Setup::default() }, test);
}

fn in_mode_z(net: &mut Net<'_, '_>) -> usize {
    let at = net.connect().expect("a session");
    net.log_in(at);
    assert_eq!(net.say(at, "MODE Z"), "200 MODE is Z: deflate\r\n");
    at
}

/// Sends `bytes`, in segments of that length, and FIN; the final reply.
fn store(net: &mut Net<'_, '_>, at: usize, bytes: &[u8], segment: usize) -> String {
    assert!(net.say(at, "STOR up").starts_with("150 "));
    net.open_data(at);
    for segment in bytes.chunks(segment) {
        net.clients[at].data_wire().expect("a data connection").send(segment);
        net.wake(at);
        net.settle();
    }
    net.clients[at].data_wire().expect("a data connection").send_fin();
    net.wake(at);
    net.settle();
    net.clients[at].take_replies()
}

#[test]
fn what_is_sent_is_a_zlib_stream() {
    with_codecs(1, |net| {
        let (long, odd) = (text(3000), pattern(70_000));
        for (path, content) in [("/text", &long[..]), ("/odd", &odd), ("/none", b""), ("/x", b"x")]
        {
            net.ftp.storage().make(path, content, DATE);
        }
        let at = in_mode_z(net);
        for (path, content) in [("text", &long[..]), ("odd", &odd), ("none", b""), ("x", b"x")] {
            let sent = fetch(net, at, &format!("RETR {path}"));
            assert_eq!(decompress_to_vec_zlib(&sent).expect("a zlib stream"), content, "{path}");
        }
        assert!(fetch(net, at, "RETR text").len() < long.len() / 4);
        net.say(at, "OPTS MODE Z LEVEL 0");
        assert!(fetch(net, at, "RETR text").len() > long.len());
        let list = fetch(net, at, "NLST");
        assert_eq!(
            decompress_to_vec_zlib(&list).expect("a zlib stream"),
            b"none\r\nodd\r\ntext\r\nx\r\n"
        );
        // REST counts bytes of the file.
        assert!(net.say(at, "REST 69990").starts_with("350 "));
        let rest = fetch(net, at, "RETR odd");
        assert_eq!(decompress_to_vec_zlib(&rest).expect("a zlib stream"), &odd[69_990..]);
        // Lines are converted before they are compressed.
        net.say(at, "TYPE A");
        let lines = decompress_to_vec_zlib(&fetch(net, at, "RETR text")).expect("a zlib stream");
        assert!(lines.starts_with(b"line 0 of a file\r\nline 1 "));
        net.say(at, "TYPE I");
        net.say(at, "MODE S");
        assert_eq!(fetch(net, at, "RETR x"), b"x");
    });
}

#[test]
fn what_is_received_was_a_zlib_stream() {
    with_codecs(1, |net| {
        let at = in_mode_z(net);
        for content in [&text(2000)[..], &pattern(20_000), b"x", b""] {
            for level in [0, 1, 9] {
                let sent = compress_to_vec_zlib(content, level);
                for segment in [1, 7, 600] {
                    assert_eq!(
                        store(net, at, &sent, segment),
                        COMPLETE,
                        "{} {level} {segment} {}",
                        content.len(),
                        sent.len()
                    );
                    assert_eq!(net.ftp.storage().content("/up").as_deref(), Some(content));
                }
            }
        }
        // A client that has nothing to send may send no stream either.
        assert_eq!(store(net, at, b"", 1), COMPLETE);
        assert_eq!(net.ftp.storage().content("/up").as_deref(), Some(&b""[..]));
    });
}

#[test]
fn what_is_no_whole_stream_is_not_stored() {
    with_codecs(1, |net| {
        net.ftp.storage().make("/up", b"old", DATE);
        let at = in_mode_z(net);
        let content = text(40);
        let sent = compress_to_vec_zlib(&content, 6);
        for end in 1..sent.len() {
            assert_eq!(store(net, at, &sent[..end], 100), NO_STREAM, "cut after {end}");
        }
        let mut wrong_sum = sent.clone();
        *wrong_sum.last_mut().expect("a byte") ^= 1;
        let behind = [&sent[..], b"x"].concat();
        for bad in [&b"plain text"[..], &wrong_sum, &behind] {
            assert_eq!(store(net, at, bad, 100), NO_STREAM);
        }
        assert_eq!(net.ftp.storage().content("/up").as_deref(), Some(&b"old"[..]));
        assert_eq!(store(net, at, &sent, 100), COMPLETE);
        assert_eq!(net.ftp.storage().content("/up"), Some(content));
    });
}

#[test]
fn a_bomb_is_as_large_as_its_file() {
    let config = Config { max_upload: Some(100_000), start: DATE, ..Config::default() };
    with_net(Setup { config, codecs: 1, blocks: 1000, ..Setup::default() }, |net| {
        let at = in_mode_z(net);
        let sent = compress_to_vec_zlib(&[0; 10_000_000], 9);
        assert!(sent.len() < 11_000);
        let reply = store(net, at, &sent, 500);
        assert_eq!(reply, "552 An upload has at most 100000 bytes here\r\n");
        assert_eq!(net.ftp.storage().content("/up"), None);
    });
}

#[test]
fn a_session_has_its_codec_until_it_gives_it_back() {
    with_codecs(1, |net| {
        for back in ["MODE S", "REIN", "QUIT", "(vanish)"] {
            let at = in_mode_z(net);
            let other = net.connect().expect("a session");
            net.log_in(other);
            let refusal = "504 All compressors are in use, try again or use MODE S\r\n";
            assert_eq!(net.say(other, "MODE Z"), refusal);
            match back {
                "(vanish)" => {
                    net.clients[at].control.reset();
                    net.wake(at);
                    net.settle();
                }
                line => drop(net.say(at, line)),
            }
            assert_eq!(net.say(other, "MODE Z"), "200 MODE is Z: deflate\r\n", "{back}");
            for at in [at, other] {
                net.say(at, "QUIT");
            }
        }
    });
}

/// While what is compressed goes out, nothing new is: that is no standstill.
#[test]
fn a_slow_reader_does_not_stand_still() {
    for mode in ["MODE S", "MODE Z"] {
        let idle_timeout = Duration::from_secs(10);
        let config = Config { idle_timeout, start: DATE, ..Config::default() };
        with_net(Setup { config, codecs: 1, blocks: 1000, ..Setup::default() }, |net| {
            net.ftp.storage().make("/odd", &pattern(100_000), DATE);
            let at = in_mode_z(net);
            net.say(at, mode);
            net.say(at, "OPTS MODE Z LEVEL 0");
            assert!(net.say(at, "RETR odd").starts_with("150 "));
            net.open_data(at);
            for _ in 0..60 {
                net.elapse(Duration::from_secs(1));
                net.clients[at].data_wire().expect("a data connection").take_some(200);
                net.wake(at);
                net.settle();
            }
            assert_eq!(net.clients[at].take_replies(), "", "{mode}");
        });
    }
}
