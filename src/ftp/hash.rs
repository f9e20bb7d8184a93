//! Checksums of files: HASH (draft-bryan-ftpext-hash-02), and XCRC, XMD5, XSHA1 and XSHA256,
//! which nobody has specified. Without the feature `hash`, CRC-32 is all that there is.
//!
//! A file may be large, so a poll reads and hashes no more than a slice of it. Only ABOR is
//! answered meanwhile: no preliminary reply has told the client that any other reply is not
//! that to its command.

use core::fmt::{self, Write};
use core::task::Poll;

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::Vec;
#[cfg(feature = "hash")]
use {
    md5::Md5,
    sha1::Sha1,
    sha2::{Digest, Sha256},
};

use super::Server;
use super::command::{Verb, number};
use super::desk::Work;
use super::range::Range;
use super::reply::Reply;
use super::session::{Interpreter, Step, Turn};
use crate::auth::Rights;
use crate::log::Escaped;
use crate::service::Action;
use crate::storage::{Error, Op, Storage};

/// Bytes that one poll hashes at most.
const BYTES_A_POLL: usize = 16 * 1024;
/// Bytes that one poll of each session hashes in all, as far as there is a read for each.
const BYTES_A_TURN: usize = 64 * 1024;
/// Bytes that are read at once. They are on the stack.
const BYTES_A_READ: usize = 1024;
/// Bytes of the longest checksum.
const SUM_MAX: usize = 32;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    #[cfg(feature = "hash")]
    Sha256,
    #[cfg(feature = "hash")]
    Sha1,
    #[cfg(feature = "hash")]
    Md5,
    Crc32,
}

impl Algorithm {
    /// All that there are, in the order in which FEAT tells them.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "hash")]
        Self::Sha256,
        #[cfg(feature = "hash")]
        Self::Sha1,
        #[cfg(feature = "hash")]
        Self::Md5,
        Self::Crc32,
    ];
    /// What HASH computes if nobody says otherwise.
    pub const DEFAULT: Self = Self::ALL[0];

    /// The name in IANA's registry of hash function textual names; CRC32 is not in there, and
    /// other servers call it so.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "hash")]
            Self::Sha256 => "SHA-256",
            #[cfg(feature = "hash")]
            Self::Sha1 => "SHA-1",
            #[cfg(feature = "hash")]
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC32",
        }
    }

    /// The one of that name, in whatever case.
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// All as FEAT tells them (section 3.1), with a star at this one.
    pub fn write_feature(self, out: &mut impl Write) -> fmt::Result {
        for &known in Self::ALL {
            let star = if known == self { "*" } else { "" };
            write!(out, "{}{star};", known.name())?;
        }
        Ok(())
    }
}

/// A hash function that has been given a part of its input.
pub(super) enum Hasher {
    #[cfg(feature = "hash")]
    Sha256(Sha256),
    #[cfg(feature = "hash")]
    Sha1(Sha1),
    #[cfg(feature = "hash")]
    Md5(Md5),
    Crc32(crc::Digest<'static, u32>),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            #[cfg(feature = "hash")]
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            #[cfg(feature = "hash")]
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            #[cfg(feature = "hash")]
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Crc32 => Self::Crc32(CRC.digest()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            #[cfg(feature = "hash")]
            Self::Sha256(hasher) => hasher.update(bytes),
            #[cfg(feature = "hash")]
            Self::Sha1(hasher) => hasher.update(bytes),
            #[cfg(feature = "hash")]
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Sum {
        match self {
            #[cfg(feature = "hash")]
            Self::Sha256(hasher) => Sum::new(&hasher.finalize()),
            #[cfg(feature = "hash")]
            Self::Sha1(hasher) => Sum::new(&hasher.finalize()),
            #[cfg(feature = "hash")]
            Self::Md5(hasher) => Sum::new(&hasher.finalize()),
            Self::Crc32(hasher) => Sum::new(&hasher.finalize().to_be_bytes()),
        }
    }
}

/// A checksum. It is shown in hexadecimal.
#[derive(Debug)]
pub(super) struct Sum(Vec<u8, SUM_MAX>);

impl Sum {
    fn new(bytes: &[u8]) -> Self {
        // None is longer.
        Self(Vec::from_slice(bytes).unwrap_or_default())
    }
}

impl fmt::LowerHex for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::UpperHex for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// A file that is being hashed.
pub(super) struct Hashing<J> {
    job: J,
    /// Storage has said that the file can be read.
    opened: bool,
    algorithm: Algorithm,
    hasher: Hasher,
    /// What of the file was asked for.
    range: Range,
    /// Whether the reply tells what range there was of it.
    with_range: bool,
    /// Bytes hashed so far.
    bytes: u64,
}

/// What a poll of [`Hashing`] has come to.
enum Progress {
    /// Waits for storage.
    Pending,
    /// Did its slice and has more.
    More,
    /// All is hashed, or storage failed.
    Over(Result<(), Error>),
}

impl<J> Hashing<J> {
    fn new(job: J, algorithm: Algorithm, range: Range, with_range: bool) -> Self {
        let hasher = Hasher::new(algorithm);
        Self { job, opened: false, algorithm, hasher, range, with_range, bytes: 0 }
    }

    /// Lets go of the storage job; the hash function has got what there was.
    pub fn end<S: Storage<Job = J>>(self, server: &mut Server<S>) -> Hasher {
        server.hashing = server.hashing.saturating_sub(1);
        server.storage.cancel(self.job);
        self.hasher
    }

    /// Hashes a slice of `share` bytes, or of one read.
    fn poll<S: Storage<Job = J>>(&mut self, storage: &mut S, share: usize) -> Progress {
        if !self.opened {
            match storage.poll_open(&mut self.job) {
                Poll::Pending => return Progress::Pending,
                Poll::Ready(Err(error)) => return Progress::Over(Err(error)),
                Poll::Ready(Ok(Some(size))) if self.is_short_of(self.range.within(size)) => {
                    return Progress::Over(Err(Error::BadOffset));
                }
                Poll::Ready(Ok(_)) => self.opened = true,
            }
        }
        let mut hashed = 0;
        while hashed == 0 || hashed < share {
            match self.read(storage) {
                Poll::Pending => return Progress::Pending,
                Poll::Ready(Err(error)) => return Progress::Over(Err(error)),
                Poll::Ready(Ok(0)) if self.is_short_of(self.bytes) => {
                    return Progress::Over(Err(Error::BadOffset));
                }
                Poll::Ready(Ok(0)) => return Progress::Over(Ok(())),
                Poll::Ready(Ok(n)) => hashed += n,
            }
        }
        Progress::More
    }

    /// Hashes what one read brings; `Ok(0)` is the end.
    fn read<S: Storage<Job = J>>(&mut self, storage: &mut S) -> Poll<Result<usize, Error>> {
        let mut buf = [0; BYTES_A_READ];
        let room = self.range.room(self.bytes, &mut buf);
        if room.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = storage.poll_read(&mut self.job, room);
        if let Poll::Ready(Ok(n)) = read {
            self.hasher.update(buf.get(..n).unwrap_or_default());
            self.bytes += n as u64;
        }
        read
    }

    /// Whether `bytes` are too few for a reply: that to HASH tells how many there were, but it
    /// cannot tell of none behind the end of the file.
    fn is_short_of(&self, bytes: u64) -> bool {
        if self.with_range {
            bytes == 0 && self.range.start() > 0
        } else {
            self.range.is_bounded() && bytes < self.range.within(u64::MAX)
        }
    }

    /// The last byte that was hashed. The hash of an empty file is that of byte 0 to byte 0:
    /// the last one may not be less than the first (section 3).
    fn last(&self) -> u64 {
        self.range.start().saturating_add(self.bytes.saturating_sub(1))
    }
}

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    /// HASH: of the bytes that RANG says (section 3.3), whatever the representation type is.
    pub(super) fn hash_range(&mut self, path: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let range = core::mem::take(&mut self.session.restart);
        self.begin_hash(path, self.session.algorithm, range, turn)
    }

    /// XCRC, XMD5, XSHA1 and XSHA256.
    pub(super) fn checksum(
        &mut self,
        algorithm: Algorithm,
        argument: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match path_and_range(argument) {
            Some((path, range)) => self.begin_hash(path, algorithm, range, turn),
            None => self.reply(Reply::bad_argument("A path, or a path, start and end"), turn),
        }
    }

    fn begin_hash(
        &mut self,
        path: &[u8],
        algorithm: Algorithm,
        range: Range,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        if let Err(step) = self.admit(path, Rights::READ, turn) {
            return step;
        }
        let op = Op::Read { path: self.desk.path.as_path(), offset: range.start() };
        let with_range = self.desk.verb == Verb::Hash;
        match turn.start(op) {
            Ok(job) => {
                turn.server.hashing += 1;
                self.desk.work = Work::Hash(Hashing::new(job, algorithm, range, with_range));
            }
            Err(error) => return self.refuse(error, turn),
        }
        // So that a poll never hashes more than one slice, however many lines have come.
        Step::Leave(Action::Yield)
    }

    /// Hashes a slice.
    pub(super) fn hash(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let Work::Hash(hashing) = &mut self.desk.work else { return Step::Next };
        let share = BYTES_A_POLL.min(BYTES_A_TURN / turn.server.hashing.max(1));
        let action = match hashing.poll(&mut turn.server.storage, share) {
            Progress::Over(result) => return self.hash_over(result, turn),
            Progress::Pending => Action::Pending,
            Progress::More => Action::Yield,
        };
        // Behind the slice, so that it does not hang on how the lines arrive whether a small
        // file is hashed or the hash of it aborted.
        match self.command_meanwhile(turn, |row, _| row.verb == Verb::Abor) {
            Some(step) if !matches!(self.desk.work, Work::Hash(_)) => step,
            _ => Step::Leave(action),
        }
    }

    fn hash_over(&mut self, result: Result<(), Error>, turn: &mut Turn<'_, S>) -> Step {
        let work = core::mem::replace(&mut self.desk.work, Work::Command);
        let Work::Hash(hashing) = work else { return Step::Next };
        let (algorithm, bytes) = (hashing.algorithm, hashing.bytes);
        let (first, last, with_range) = (hashing.range.start(), hashing.last(), hashing.with_range);
        let hasher = hashing.end(turn.server);
        if let Err(error) = result {
            return self.refuse(error, turn);
        }
        let (sum, path) = (&hasher.finish(), self.desk.path.seen());
        info!(
            "{} {} {bytes} bytes: {}",
            self.session.peer,
            self.desk.verb,
            Escaped(self.desk.path.as_path().as_bytes())
        );
        let reply = match with_range {
            true => Reply::Hashed { algorithm, first, last, sum, path },
            false => Reply::Checksum(sum),
        };
        reply.send(turn.control);
        self.session.active = turn.now;
        Step::Next
    }

    /// ABOR: the command gets its 426.
    pub(super) fn abort_hash(&mut self, turn: &mut Turn<'_, S>) {
        if let Work::Hash(hashing) = core::mem::replace(&mut self.desk.work, Work::Command) {
            hashing.end(turn.server);
        }
        self.done(Reply::aborted("Hash aborted"), turn);
    }
}

/// The argument of XCRC and the like: a path, and perhaps the first byte and the one behind the
/// last, as ProFTPD's mod_digest and DrFTPD have it. One number alone is the end to GlobalSCAPE's
/// servers, who made XCRC up, and the start to others, so mod_digest refuses it, and so do we.
///
/// Some clients put the path in double quotes, as GlobalSCAPE does, others send it as it is.
/// Without quotes two numbers at the end are no part of it; whatever else there is belongs to it.
fn path_and_range(argument: &[u8]) -> Option<(&[u8], Range)> {
    if let Some((path, rest)) = quoted(argument) {
        let mut words = rest.split(|&b| b == b' ');
        return match (words.next(), words.next(), words.next()) {
            (Some(b""), None, _) => Some((path, Range::WHOLE)),
            (Some(start), Some(end), None) => {
                Some((path, Range::new(number(start)?, number(end)?)?))
            }
            _ => None,
        };
    }
    let mut words = argument.rsplitn(3, |&b| b == b' ');
    let (end, start) = (words.next().and_then(number), words.next().and_then(number));
    match (start, end, words.next()) {
        (Some(start), Some(end), Some(path)) => Some((path, Range::new(start, end)?)),
        _ => Some((argument, Range::WHOLE)),
    }
}

/// What is between the first quote and the last, and what is behind that.
fn quoted(argument: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = argument.strip_prefix(b"\"")?.rsplitn(2, |&b| b == b'"');
    let (rest, path) = (parts.next()?, parts.next()?);
    Some((path, rest.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, parts: &[&[u8]]) -> std::string::String {
        let mut hasher = Hasher::new(algorithm);
        parts.iter().for_each(|part| hasher.update(part));
        std::format!("{:x}", hasher.finish())
    }

    /// RFC 1321, FIPS 180-4 and the check value of CRC-32.
    #[test]
    fn known_sums() {
        let known: &[(Algorithm, &str, &str)] = &[
            (Algorithm::Crc32, "00000000", "352441c2"),
            #[cfg(feature = "hash")]
            (
                Algorithm::Md5,
                "d41d8cd98f00b204e9800998ecf8427e",
                "900150983cd24fb0d6963f7d28e17f72",
            ),
            #[cfg(feature = "hash")]
            (
                Algorithm::Sha1,
                "da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            #[cfg(feature = "hash")]
            (
                Algorithm::Sha256,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ];
        for &(algorithm, empty, abc) in known {
            assert_eq!(sum(algorithm, &[]), empty);
            assert_eq!(sum(algorithm, &[b"abc"]), abc);
            assert_eq!(sum(algorithm, &[b"a", b"", b"bc"]), abc);
            assert_eq!(
                Algorithm::find(algorithm.name().to_lowercase().as_bytes()),
                Some(algorithm)
            );
        }
        let mut hasher = Hasher::new(Algorithm::Crc32);
        hasher.update(b"123456789");
        let check = hasher.finish();
        assert_eq!(std::format!("{check:x} {check:X}"), "cbf43926 CBF43926");
        assert_eq!(Algorithm::find(b"SHA1"), None);
    }

    #[test]
    fn what_there_is_is_told() {
        let mut told = std::string::String::new();
        Algorithm::DEFAULT.write_feature(&mut told).unwrap();
        let all = if cfg!(feature = "hash") { "SHA-256*;SHA-1;MD5;CRC32;" } else { "CRC32*;" };
        assert_eq!(told, all);
    }

    #[test]
    fn arguments() {
        let bytes = |start, end| Range::new(start, end).unwrap();
        for (argument, path, range) in [
            ("a", "a", Range::WHOLE),
            ("a b", "a b", Range::WHOLE),
            ("a 0 5", "a", bytes(0, 5)),
            ("a b 1 2", "a b", bytes(1, 2)),
            ("a 5", "a 5", Range::WHOLE),
            ("0 5", "0 5", Range::WHOLE),
            ("1 2 3", "1", bytes(2, 3)),
            (" a", " a", Range::WHOLE),
            ("a 0 18446744073709551616", "a 0 18446744073709551616", Range::WHOLE),
            ("\"a\"", "a", Range::WHOLE),
            ("\"a b\" ", "a b", Range::WHOLE),
            ("\"a b\" 0 5", "a b", bytes(0, 5)),
            ("\"a 0 5\"", "a 0 5", Range::WHOLE),
            ("\"a\"b\" 0 18446744073709551614", "a\"b", bytes(0, u64::MAX - 1)),
            ("\"\"", "", Range::WHOLE),
            ("\"a", "\"a", Range::WHOLE),
            ("\"a 0 5", "\"a", bytes(0, 5)),
            ("a\" 0 5", "a\"", bytes(0, 5)),
        ] {
            let expected = Some((path.as_bytes(), range));
            assert_eq!(path_and_range(argument.as_bytes()), expected, "{argument}");
        }
        for bad in [
            "a 5 5",
            "a 5 4",
            "a 9223372036854775808 18446744073709551615",
            "\"a\" 5",
            "\"a\" 5 5",
            "\"a\" 5 4",
            "\"a\" 1 2 3",
            "\"a\" 0  5",
            "\"a\" 0 x",
            "\"a\", 0, 5",
            "\"a\" -1 5",
            "\"a\" 0 18446744073709551616",
            "\"a\"b",
        ] {
            assert_eq!(path_and_range(bad.as_bytes()), None, "{bad}");
        }
    }
}
