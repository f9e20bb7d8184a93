//! A session as its client sees it: what it has asked, what it has heard, and whether that is
//! what RFC 959 section 5.4 lets it hear.

use std::collections::VecDeque;

use crate::net::LINE;

/// Verbs of which the preliminary reply speaks.
const TRANSFERS: [&str; 7] = ["APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"];

/// What stands for the greeting among the lines that are to be answered.
const GREETING: &str = "(greeting)";
/// ... and for a line that is longer than the server's.
const TOO_LONG: &str = "(too long)";

/// The codes of final replies to `verb`, RFC 959 section 5.4 and the RFCs of the extensions.
/// 550 for STOR, 425 for PASV, and the storage's 45x are the practice of all servers.
fn allowed(verb: &str) -> &'static [u16] {
    match verb {
        GREETING => &[220],
        "RETR" => &[226, 425, 426, 450, 451, 452, 501, 530, 550],
        "STOR" | "APPE" | "STOU" => &[226, 425, 426, 450, 451, 452, 501, 530, 550, 552, 553, 554],
        "MLST" => &[250, 450, 451, 452, 501, 530, 550],
        "LIST" | "NLST" | "MLSD" => &[226, 425, 426, 450, 451, 452, 501, 530, 550],
        "ABOR" => &[226, 501, 530],
        "STAT" => &[211, 212, 450, 451, 452, 501, 530, 550],
        "NOOP" => &[200],
        "PASV" => &[227, 425, 501, 503, 530],
        "EPSV" => &[200, 229, 425, 501, 522, 530],
        "PORT" => &[200, 501, 503, 504, 522, 530],
        "EPRT" => &[200, 501, 503, 504, 522, 530],
        "TYPE" | "MODE" | "STRU" => &[200, 501, 504, 530],
        "REST" | "RANG" => &[350, 501, 530],
        // 426 if it is aborted, 554 if it begins behind the end.
        "HASH" => &[213, 426, 450, 451, 452, 501, 530, 550, 554],
        "XCRC" | "XMD5" | "XSHA1" | "XSHA256" => &[250, 426, 450, 451, 452, 501, 530, 550, 554],
        "SIZE" | "MDTM" => &[213, 450, 451, 452, 501, 530, 550],
        "DELE" | "RMD" | "XRMD" | "CWD" | "XCWD" | "CDUP" | "XCUP" => {
            &[250, 450, 451, 452, 501, 530, 550]
        }
        "MKD" | "XMKD" => &[257, 450, 451, 452, 501, 530, 550, 553],
        "RNFR" => &[350, 450, 451, 452, 501, 530, 550],
        "RNTO" => &[250, 450, 451, 452, 501, 503, 530, 550, 553],
        "PWD" | "XPWD" => &[257, 501, 530],
        "FEAT" => &[211, 501],
        "HELP" => &[214, 500],
        "SYST" => &[215, 501],
        "ALLO" => &[202, 501, 530],
        "ACCT" => &[202, 501],
        "OPTS" | "CLNT" | "CSID" => &[200, 501],
        "LANG" => &[200, 504],
        "HOST" => &[220, 501, 503],
        "AVBL" => &[213, 450, 451, 452, 501, 530, 550],
        "MFMT" => &[213, 450, 451, 452, 501, 530, 550],
        "MFF" => &[213, 250, 450, 451, 452, 501, 504, 530, 550],
        "SITE" => &[200, 211, 213, 214, 250, 450, 451, 452, 501, 504, 530, 550],
        "USER" => &[331, 501],
        "PASS" => &[202, 230, 503, 530],
        "REIN" => &[220, 501],
        "QUIT" => &[221, 501],
        "AUTH" | "PBSZ" | "PROT" => &[502],
        "SMNT" => &[502, 530],
        _ => &[500],
    }
}

/// Whether `verb` is answered while a transfer runs.
fn overtakes(verb: &str) -> bool {
    matches!(verb, "ABOR" | "STAT" | "NOOP")
}

/// A line that was sent.
struct Asked {
    verb: String,
    /// As a message shows it.
    text: String,
}

/// The session as its client sees it.
pub struct Observer {
    /// What was received and is not a whole reply yet.
    pending: String,
    /// Lines that were sent and not answered.
    unanswered: VecDeque<Asked>,
    /// A preliminary reply came, and the final one has not.
    transfer: bool,
    /// The last reply came.
    pub over: bool,
    /// A Synch may have taken lines that were not answered.
    pub synched: bool,
    /// Uploads that the server says it has stored.
    pub stored: usize,
    /// Downloads and listings that it says were delivered.
    pub delivered: usize,
}

impl Observer {
    /// A session in which everything was answered that was asked.
    pub fn new() -> Self {
        Self {
            pending: String::new(),
            unanswered: VecDeque::new(),
            transfer: false,
            over: false,
            synched: false,
            stored: 0,
            delivered: 0,
        }
    }

    /// A session that was not greeted yet.
    pub fn before_the_greeting() -> Self {
        let mut observer = Self::new();
        observer.expect(GREETING.into(), GREETING.into());
        observer
    }

    /// A whole line was sent.
    pub fn ask(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let verb = match text.split(' ').next() {
            Some(verb) if line.len() <= LINE => verb.to_ascii_uppercase(),
            _ => TOO_LONG.into(),
        };
        self.expect(verb, text);
    }

    fn expect(&mut self, verb: String, text: String) {
        self.unanswered.push_back(Asked { verb, text });
    }

    /// The lines that were not answered.
    pub fn unanswered(&self) -> Vec<&str> {
        self.unanswered.iter().map(|asked| asked.text.as_str()).collect()
    }

    /// Part of a reply.
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// Takes what the server has sent, and checks it against what was asked.
    pub fn hear(&mut self, text: &str) {
        self.pending.push_str(text);
        while let Some((reply, length)) = first_reply(&self.pending) {
            self.reply(reply);
            self.pending.drain(..length);
        }
    }

    fn reply(&mut self, code: u16) {
        assert!(!self.over, "{code} after the last reply");
        match code {
            421 => self.over = true,
            100..200 => self.preliminary_reply(code),
            _ => self.final_reply(code),
        }
    }

    fn preliminary_reply(&mut self, code: u16) {
        assert!(!self.transfer, "a second preliminary reply");
        let is_transfer = |asked: &Asked| TRANSFERS.contains(&&*asked.verb);
        self.pass_over(0, is_transfer);
        let front = self.unanswered.front();
        let text = front.map(|asked| &asked.text);
        assert!(self.synched || front.is_some_and(is_transfer), "{code} for {text:?}");
        self.transfer = true;
    }

    fn final_reply(&mut self, code: u16) {
        // 200 and 211 during a transfer are for a line behind it.
        let at = usize::from(self.transfer && matches!(code, 200 | 211));
        self.transfer &= at > 0;
        self.over = code == 221;
        let in_turn = |asked: &Asked| at == 0 || overtakes(&asked.verb);
        let fits = |asked: &Asked| in_turn(asked) && allowed(&asked.verb).contains(&code);
        self.pass_over(at, fits);
        let Some(asked) = self.unanswered.remove(at) else {
            return assert!(self.synched, "{code} for no line");
        };
        assert!(in_turn(&asked), "{:?} overtook a transfer", asked.text);
        assert!(fits(&asked), "{code} for {:?}", asked.text);
        match &*asked.verb {
            _ if self.synched => {}
            "STOR" | "APPE" | "STOU" if code == 226 => self.stored += 1,
            "RETR" | "LIST" | "NLST" | "MLSD" if code == 226 => self.delivered += 1,
            _ => {}
        }
    }

    /// Lines that a Synch has taken get no reply.
    fn pass_over(&mut self, at: usize, fits: impl Fn(&Asked) -> bool) {
        while self.synched && self.unanswered.get(at).is_some_and(|asked| !fits(asked)) {
            self.unanswered.remove(at);
        }
    }
}

/// The first reply in `text`, if all of it is there, by the rules of RFC 959 section 4.2: its
/// code, and its length.
fn first_reply(text: &str) -> Option<(u16, usize)> {
    let mut length = 0;
    let mut open = None;
    loop {
        let line = &text[length..length + text[length..].find("\r\n")? + 2];
        length += line.len();
        let printable = |line: &str| !line.bytes().any(|byte| byte.is_ascii_control());
        assert!(printable(&line[..line.len() - 2]), "control characters in {line:?}");
        if open.is_some() && !line.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let code: u16 = line[..3].parse().unwrap_or_else(|_| panic!("no code in {line:?}"));
        assert!((100..600).contains(&code) && code / 10 % 10 < 6, "{line:?}");
        assert!(open.is_none_or(|open| open == code), "{line:?} in a reply of {open:?}");
        match &line[3..4] {
            " " => return Some((code, length)),
            "-" => open = Some(code),
            _ => panic!("{line:?} is no line of a reply"),
        }
    }
}
