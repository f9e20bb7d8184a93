//! Whole files over a wire that loses, reorders and doubles frames.

use crate::client::{Client, Mode};
use crate::sim::{DAYTIME, DISCARD, ECHO, Faults, MS, SERVER_V4, SERVER_V6, Shape, World, pattern};

const MIB: usize = 1024 * 1024;

fn bad_wire(loss: u32) -> Faults {
    Faults { latency: 2 * MS, loss, reorder: 2, duplicate: 2 }
}

/// 1 MiB down and 1 MiB up, byte for byte.
fn both_ways(shape: Shape, faults: Faults, mode: Mode, seed: u64) {
    let (down, up) = (pattern(MIB, seed), pattern(MIB, seed + 1000));
    let mut w = World::with_files(shape, &[("/down", &down)]);
    let host = w.host(100);
    w.faults(faults, seed);
    let mut client = Client::login(&mut w, host);
    assert!(client.retrieve(&mut w, mode, "down") == down, "{shape:?} {faults:?} {mode:?} {seed}");
    client.store(&mut w, mode, "up", &up);
    w.faults(Faults::NONE, 0);
    assert!(client.retrieve(&mut w, mode, "up") == up, "{shape:?} {faults:?} {mode:?} {seed}");
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_mebibyte_over_a_good_wire() {
    for mode in [Mode::Pasv, Mode::Port] {
        both_ways(Shape::SMALL, Faults::NONE, mode, 1);
        both_ways(Shape::LARGE, Faults::NONE, mode, 2);
    }
}

#[test]
fn a_mebibyte_out_of_order_and_twice() {
    for (mode, seed) in [(Mode::Pasv, 3), (Mode::Port, 4)] {
        both_ways(Shape::LARGE, bad_wire(0), mode, seed);
    }
}

#[test]
fn a_mebibyte_with_one_frame_in_a_hundred_lost_passive() {
    for seed in 10..12 {
        both_ways(Shape::LARGE, bad_wire(1), Mode::Pasv, seed);
    }
    both_ways(Shape::SMALL, bad_wire(1), Mode::Pasv, 12);
}

#[test]
fn a_mebibyte_with_one_frame_in_a_hundred_lost_active() {
    for seed in 20..22 {
        both_ways(Shape::LARGE, bad_wire(1), Mode::Port, seed);
    }
    both_ways(Shape::SMALL, bad_wire(1), Mode::Port, 22);
}

#[test]
fn a_mebibyte_with_one_frame_in_ten_lost_passive() {
    for seed in 30..32 {
        both_ways(Shape::LARGE, bad_wire(10), Mode::Pasv, seed);
    }
}

#[test]
fn a_mebibyte_with_one_frame_in_ten_lost_active() {
    for seed in 40..42 {
        both_ways(Shape::LARGE, bad_wire(10), Mode::Port, seed);
    }
}

#[test]
fn a_mebibyte_through_a_device_with_offload() {
    for (mode, seed) in [(Mode::Pasv, 70), (Mode::Port, 71), (Mode::Epsv, 72)] {
        both_ways(Shape::OFFLOAD, Faults::NONE, mode, seed);
        for loss in [0, 1, 5] {
            both_ways(Shape::OFFLOAD, bad_wire(loss), mode, seed + 10);
        }
    }
}

#[test]
fn an_echo_of_256_kib() {
    let bytes = pattern(MIB / 4, 5);
    for shape in [Shape::SMALL, Shape::LARGE, Shape::OFFLOAD] {
        for (loss, seed) in [(0, 50), (1, 51), (1, 52), (10, 53), (10, 54)] {
            let mut w = World::new(shape);
            let host = w.host(100);
            w.faults(bad_wire(loss), seed);
            let tcp = w.connect(host, SERVER_V4.into(), ECHO);
            assert!(w.pump(tcp, &bytes) == bytes, "{shape:?} {loss} {seed}");
            w.finish();
        }
    }
}

#[test]
fn everything_over_ipv6() {
    everything_over_ipv6_with(Shape::LARGE);
    everything_over_ipv6_with(Shape::OFFLOAD);
}

fn everything_over_ipv6_with(shape: Shape) {
    let (down, up) = (pattern(MIB / 4, 6), pattern(MIB / 4, 7));
    let mut w = World::with_files(shape, &[("/down", &down)]);
    let host = w.host(100);
    w.faults(bad_wire(1), 6);
    let tcp = w.connect(host, SERVER_V6.into(), ECHO);
    assert!(w.pump(tcp, &up) == up);
    let mut client = Client::login6(&mut w, host);
    client.say(&mut w, "PASV", "425");
    assert!(client.retrieve(&mut w, Mode::Epsv, "down") == down);
    client.store(&mut w, Mode::Epsv, "up", &up);
    assert!(client.retrieve(&mut w, Mode::Epsv, "up") == up);
    client.quit(&mut w);
    w.finish();
}

#[test]
fn a_mebibyte_to_discard() {
    let mut w = World::new(Shape::SMALL);
    let host = w.host(100);
    w.faults(bad_wire(1), 60);
    let tcp = w.connect(host, SERVER_V4.into(), DISCARD);
    assert_eq!(w.pump(tcp, &pattern(MIB, 8)), b"");
    w.finish();
}

#[test]
fn daytime_says_the_time_and_hangs_up() {
    for address in [SERVER_V4.into(), SERVER_V6.into()] {
        let mut w = World::new(Shape::SMALL);
        let host = w.host(100);
        let tcp = w.connect(host, address, DAYTIME);
        assert_eq!(w.drain(tcp), b"Sunday, November 22, 2026 05:43:24-UTC\r\n");
        w.finish();
    }
}

/// They have more to send at once than a turn sends; the world looks after that.
#[test]
fn many_at_once_take_turns() {
    const COUNT: usize = 12;
    let file = pattern(MIB, 70);
    let shape = Shape { control: COUNT, data: COUNT, ..Shape::LARGE };
    let mut w = World::with_files(shape, &[("/file", &file)]);
    let host = w.host(100);
    let mut clients: Vec<_> = (0..COUNT).map(|_| Client::login(&mut w, host)).collect();
    let start = |client: &mut Client| client.transfer(&mut w, Mode::Pasv, "RETR file");
    let transfers: Vec<_> = clients.iter_mut().map(start).collect();
    let mut received = vec![Vec::new(); COUNT];
    while received.iter().any(|bytes| bytes.len() < file.len()) {
        // All windows are full, and open together.
        w.run(100 * MS);
        for (bytes, tcp) in received.iter_mut().zip(&transfers) {
            bytes.extend(w.read(*tcp));
        }
    }
    assert!(received.iter().all(|bytes| *bytes == file));
    for (client, data) in clients.iter_mut().zip(transfers) {
        assert!(w.drain(data).is_empty());
        client.expect(&mut w, "226");
    }
    clients.into_iter().for_each(|client| client.quit(&mut w));
    w.finish();
}
