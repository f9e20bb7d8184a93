//! Clients: scripts over smoltcp sockets, which let the world go on while they wait.

use smoltcp::iface::SocketHandle;
use smoltcp::socket::Socket as AnySocket;
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::raw::Peer;
use crate::sim::{FTP, Micros, S, SERVER_V4, SERVER_V6, World, lend};

/// How long a script waits for anything.
const PATIENCE: Micros = 3_600 * S;
/// Bytes of a client's buffers.
const BUFFER: usize = 60_000;

/// A socket of a host.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    pub host: usize,
    handle: SocketHandle,
}

impl World {
    // Sockets.

    fn new_socket(&mut self, host: usize) -> Tcp {
        let buffer = || SocketBuffer::new(lend(BUFFER, || 0));
        let mut socket = self.used_sockets.pop().unwrap_or_else(|| Socket::new(buffer(), buffer()));
        socket.abort();
        socket.set_nagle_enabled(false);
        Tcp { host, handle: self.hosts[host].sockets.add(socket) }
    }

    /// Connects from a new port, which is given back too.
    pub fn dial(&mut self, host: usize, address: IpAddress, port: u16) -> Tcp {
        let there = &mut self.hosts[host];
        there.next_port = if there.next_port == 49_999 { 40_000 } else { there.next_port + 1 };
        let local = there.next_port;
        self.dial_from(host, local, address, port)
    }

    pub fn dial_from(&mut self, host: usize, local: u16, address: IpAddress, port: u16) -> Tcp {
        let tcp = self.new_socket(host);
        let there = &mut self.hosts[host];
        let socket = there.sockets.get_mut::<Socket<'_>>(tcp.handle);
        socket.connect(there.iface.context(), (address, port), local).unwrap();
        there.due = Some(self.now);
        tcp
    }

    /// Connects, and waits until that has succeeded.
    pub fn connect(&mut self, host: usize, address: IpAddress, port: u16) -> Tcp {
        let tcp = self.dial(host, address, port);
        self.wait("a connection", |w| w.state(tcp) == State::Established);
        tcp
    }

    pub fn listen(&mut self, host: usize, port: u16) -> Tcp {
        let tcp = self.new_socket(host);
        self.socket(tcp).listen(port).unwrap();
        tcp
    }

    pub fn socket(&mut self, tcp: Tcp) -> &mut Socket<'static> {
        // Whatever is done to it, the host has to look.
        let there = &mut self.hosts[tcp.host];
        there.due = Some(self.now);
        there.sockets.get_mut(tcp.handle)
    }

    fn peek(&self, tcp: Tcp) -> &Socket<'static> {
        self.hosts[tcp.host].sockets.get(tcp.handle)
    }

    pub fn state(&self, tcp: Tcp) -> State {
        self.peek(tcp).state()
    }

    pub fn remote(&self, tcp: Tcp) -> Option<IpEndpoint> {
        self.peek(tcp).remote_endpoint()
    }

    /// Forgets a socket; the peer is not told.
    pub fn forget(&mut self, tcp: Tcp) {
        let socket = self.hosts[tcp.host].sockets.remove(tcp.handle);
        let AnySocket::Tcp(socket) = socket else { unreachable!("hosts have no others") };
        self.used_sockets.push(socket);
    }

    /// Lets the world go on until something is true.
    pub fn wait(&mut self, what: &str, mut until: impl FnMut(&mut World) -> bool) {
        let end = self.now + PATIENCE;
        let (mut last, mut steps) = (self.now, 0);
        while !until(self) {
            assert!(self.now < end, "waiting for {what}: too long");
            steps = if self.now > last { 0 } else { steps + 1 };
            last = self.now;
            assert!(steps < 100_000, "waiting for {what}: time stands still");
            assert!(self.step(), "waiting for {what}: nothing will ever happen again");
        }
    }

    /// Whether a socket has bytes, or never will.
    fn has_news(&self, tcp: Tcp) -> bool {
        self.peek(tcp).can_recv() || !self.peek(tcp).may_recv()
    }

    pub fn read(&mut self, tcp: Tcp) -> Vec<u8> {
        let mut bytes = Vec::new();
        let there = &mut self.hosts[tcp.host];
        let socket = there.sockets.get_mut::<Socket<'_>>(tcp.handle);
        while socket.can_recv() {
            let piece = socket.recv(|piece| (piece.len(), piece.to_vec())).unwrap();
            bytes.extend(piece);
            // The window has opened.
            there.due = Some(self.now);
        }
        bytes
    }

    fn write(&mut self, tcp: Tcp, bytes: &[u8]) -> usize {
        let there = &mut self.hosts[tcp.host];
        let socket = there.sockets.get_mut::<Socket<'_>>(tcp.handle);
        if !socket.can_send() {
            return 0;
        }
        there.due = Some(self.now);
        socket.send_slice(bytes).unwrap()
    }

    /// Sends `bytes` and FIN while taking what comes, until both sides are done. Returns what
    /// came.
    pub fn pump(&mut self, tcp: Tcp, bytes: &[u8]) -> Vec<u8> {
        let (mut sent, mut got, mut closed) = (0, Vec::new(), false);
        self.wait("the end of a stream", |w| {
            sent += w.write(tcp, &bytes[sent..]);
            if sent == bytes.len() && !closed {
                w.socket(tcp).close();
                closed = true;
            }
            got.extend(w.read(tcp));
            !matches!(
                w.state(tcp),
                State::Established | State::FinWait1 | State::FinWait2 | State::SynSent
            ) && !w.peek(tcp).can_recv()
        });
        got
    }

    /// Takes what comes until the server is done, then closes too.
    pub fn drain(&mut self, tcp: Tcp) -> Vec<u8> {
        let mut got = Vec::new();
        self.wait("the end of the data", |w| {
            got.extend(w.read(tcp));
            w.state(tcp) != State::SynSent && !w.peek(tcp).may_recv()
        });
        self.socket(tcp).close();
        got
    }

    pub fn send(&mut self, tcp: Tcp, bytes: &[u8]) {
        let mut sent = 0;
        self.wait("room to send", |w| {
            sent += w.write(tcp, &bytes[sent..]);
            sent == bytes.len()
        });
    }

    /// Takes exactly `len` bytes.
    pub fn take(&mut self, tcp: Tcp, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        self.wait("bytes", |w| {
            got.extend(w.read(tcp));
            got.len() >= len || !w.peek(tcp).may_recv()
        });
        assert_eq!(got.len(), len);
        got
    }
}

/// How the data connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pasv,
    Port,
    Epsv,
}

/// A client that has said PASV, and a peer at its host that may be its data connection.
pub fn passive(w: &mut World) -> (Client, Peer) {
    let host = w.host(100);
    let mut client = Client::login(w, host);
    let port = client.pasv(w);
    let peer = Peer::beside(w, host, 60_001, port);
    (client, peer)
}

/// An FTP client: a control connection, and what was read of it.
pub struct Client {
    pub host: usize,
    pub control: Tcp,
    server: IpAddress,
    text: Vec<u8>,
}

impl Client {
    /// Connects and reads the greeting.
    pub fn dial(w: &mut World, host: usize) -> Self {
        Self::dial_to(w, host, SERVER_V4.into())
    }

    pub fn dial_to(w: &mut World, host: usize, server: IpAddress) -> Self {
        let control = w.connect(host, server, FTP);
        let mut client = Self { host, control, server, text: Vec::new() };
        client.expect(w, "220");
        client
    }

    pub fn login(w: &mut World, host: usize) -> Self {
        let mut client = Self::dial(w, host);
        client.log_in(w);
        client
    }

    pub fn login6(w: &mut World, host: usize) -> Self {
        let mut client = Self::dial_to(w, host, SERVER_V6.into());
        client.log_in(w);
        client
    }

    fn log_in(&mut self, w: &mut World) {
        self.say(w, "USER anna", "331");
        self.say(w, "PASS secret", "230");
        self.say(w, "TYPE I", "200");
    }

    /// Sends a line.
    pub fn send(&self, w: &mut World, line: &str) {
        w.send(self.control, format!("{line}\r\n").as_bytes());
    }

    /// Sends a line and waits for its reply, which must begin with `code`.
    pub fn say(&mut self, w: &mut World, line: &str, code: &str) -> String {
        self.send(w, line);
        self.expect(w, code)
    }

    /// The next line from the server, which must begin with `code`.
    pub fn expect(&mut self, w: &mut World, code: &str) -> String {
        let reply = self.reply(w);
        assert!(reply.starts_with(code), "not {code}: {reply}");
        reply
    }

    pub fn reply(&mut self, w: &mut World) -> String {
        let control = self.control;
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.text.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line).trim_end().into();
            }
            w.wait("a reply", |w| w.has_news(control));
            let bytes = w.read(control);
            assert!(!bytes.is_empty(), "the control connection is gone");
            self.text.extend(bytes);
        }
    }

    pub fn pasv(&mut self, w: &mut World) -> u16 {
        let reply = self.say(w, "PASV", "227");
        let numbers = reply.split(['(', ')']).nth(1).unwrap();
        let numbers: Vec<u16> = numbers.split(',').map(|n| n.parse().unwrap()).collect();
        assert_eq!(numbers[..4], SERVER_V4.octets().map(u16::from));
        numbers[4] * 256 + numbers[5]
    }

    pub fn epsv(&mut self, w: &mut World) -> u16 {
        let reply = self.say(w, "EPSV", "229");
        reply.split('|').nth(3).unwrap().parse().unwrap()
    }

    /// Says PORT with a port of the host.
    pub fn port(&mut self, w: &mut World, port: u16) {
        let [a, b, c, d] = w.hosts[self.host].v4.octets();
        let line = format!("PORT {a},{b},{c},{d},{},{}", port >> 8, port & 255);
        self.say(w, &line, "200");
    }

    /// Sets up a data connection, says `line`, and waits for 150.
    pub fn transfer(&mut self, w: &mut World, mode: Mode, line: &str) -> Tcp {
        let data = match mode {
            Mode::Port => {
                let there = &mut w.hosts[self.host];
                there.next_port += 1;
                let port = there.next_port;
                let data = w.listen(self.host, port);
                self.port(w, port);
                data
            }
            Mode::Pasv => {
                let port = self.pasv(w);
                w.dial(self.host, self.server, port)
            }
            Mode::Epsv => {
                let port = self.epsv(w);
                w.dial(self.host, self.server, port)
            }
        };
        self.say(w, line, "150");
        w.wait("the data connection", |w| {
            !matches!(w.state(data), State::Listen | State::SynSent | State::SynReceived)
        });
        data
    }

    pub fn retrieve(&mut self, w: &mut World, mode: Mode, name: &str) -> Vec<u8> {
        let data = self.transfer(w, mode, &format!("RETR {name}"));
        let bytes = w.drain(data);
        self.expect(w, "226");
        w.forget(data);
        bytes
    }

    pub fn store(&mut self, w: &mut World, mode: Mode, name: &str, bytes: &[u8]) {
        let data = self.transfer(w, mode, &format!("STOR {name}"));
        let nothing = w.pump(data, bytes);
        assert!(nothing.is_empty());
        self.expect(w, "226");
        w.forget(data);
    }

    pub fn quit(mut self, w: &mut World) {
        self.say(w, "QUIT", "221");
        let rest = w.drain(self.control);
        assert!(rest.is_empty());
    }
}
