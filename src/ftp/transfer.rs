//! The server-DTP (RFC 959 section 2.3): a storage job on one side, the data connection on the
//! other.

use core::task::Poll;

use super::ascii::{Piece, ToStorage, ToWire};
use super::listing::Listing;
use super::path::PathBuf;
use super::range::Range;
use super::reply::DataFault;
use crate::service::Data;
use crate::storage::{Error, Path, Storage};
use crate::stream::{Status, Stream};
use crate::time::{Duration, Instant, Timestamp};

/// Bytes that one poll moves at most, so that one fast transfer leaves turns to the others.
pub(super) const BYTES_A_POLL: usize = 256 * 1024;

/// Pieces that one poll stores at most: in TYPE A each line is one, and each stray CR.
const PIECES_A_POLL: usize = 256;

/// How long the final reply waits for the client to close its side of the data connection.
const CLOSING: Duration = Duration::from_millis(100);

/// How long the commit of an upload waits after its end. The FINs of a client that has died come
/// one right after the other, that of the data connection first: and then it is not the whole file.
const GRACE: Duration = Duration::from_micros(50);

/// Which way the data goes, and how it is converted on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    /// RETR of these bytes; with TYPE A converted.
    Retrieve(Range, Option<ToWire>),
    /// STOR and APPE; with TYPE A converted.
    Store(Option<ToStorage>),
    /// LIST, NLST and MLSD.
    List(Listing),
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Storage looks whether it can be done.
    Opening,
    /// The network looks whether there can be a data connection.
    Asking,
    /// The data connection is awaited.
    Connecting,
    /// Bytes move.
    Moving,
    /// Everything has been received: storage is about to commit it.
    Committing,
    /// Storage commits it, which cannot be called off.
    Committed,
    /// Everything is queued, and FIN behind it: the peer has to acknowledge it.
    Delivering,
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer<J> {
    job: J,
    /// The job came to its end by itself, and must not be cancelled.
    job_ended: bool,
    direction: Direction,
    stage: Stage,
    /// Bytes moved over the data connection so far.
    pub bytes: u64,
    /// Bytes of the file that are to be moved, for RETR where storage knows it.
    pub size: Option<u64>,
    /// When the command came.
    pub started: Instant,
    /// When the data connection last moved.
    progress: Instant,
    /// Until when it waits in the end, whatever moves.
    resumes_at: Option<Instant>,
    /// Until when limits to the rate hold it up.
    pub held_until: Instant,
    /// When its turn is by the limit of the session, and by that of all.
    pub places: [Option<Instant>; 2],
    /// Room in the transmit buffer after the last poll: it grows with what the peer acknowledges.
    room: usize,
}

/// What a poll of a transfer has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Storage is ready: the data connection may be asked for.
    Opened,
    /// The data connection is there or on its way: time for the preliminary reply.
    Announce,
    /// Nothing to do until the data connection moves.
    Wait,
    /// Waits for storage.
    Pending,
    /// Has more to do at once.
    More,
    /// It is over.
    Over(Outcome),
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// RETR, LIST: the peer acknowledged all of it. STOR, APPE: storage has committed it.
    Complete,
    /// LIST -R: the same, but not everything was listed.
    CutOff,
    /// Storage failed.
    Storage(Error),
    /// There was no data connection.
    NoConnection(DataFault),
    /// More came than one upload may bring.
    TooLarge,
    /// The data connection broke.
    Broken,
    /// The data connection did not move for too long.
    Stalled,
}

/// What a transfer needs to know of its session.
pub(super) struct Scene<'a, const N: usize> {
    /// The working directory.
    pub directory: Path<'a>,
    /// The path that is transferred. A listing goes down and up with it.
    pub path: &'a mut PathBuf<N>,
    /// The date, for listings.
    pub date: Timestamp,
    /// Bytes that may move now.
    pub allowance: usize,
    /// Bytes that an upload may bring.
    pub max_upload: u64,
}

impl<J> Transfer<J> {
    pub fn new(job: J, direction: Direction, now: Instant) -> Self {
        Self {
            job,
            job_ended: false,
            direction,
            stage: Stage::Opening,
            bytes: 0,
            size: None,
            started: now,
            progress: now,
            resumes_at: None,
            held_until: Instant::ZERO,
            places: [None; 2],
            room: 0,
        }
    }

    /// Whether it is still looked whether it can be done, so that nothing has been said yet.
    pub fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening | Stage::Asking)
    }

    /// Whether it stores what the client sends.
    pub fn is_upload(&self) -> bool {
        matches!(self.direction, Direction::Store(_))
    }

    /// Whether it moves bytes, so that limits to the rate hold it up.
    pub fn is_moving(&self) -> bool {
        self.stage == Stage::Moving
    }

    /// Whether storage may have committed it already, whoever does not want it any more.
    pub fn is_decided(&self) -> bool {
        self.stage == Stage::Committed
    }

    /// When the data connection last moved.
    pub fn moved_at(&self) -> Instant {
        self.progress
    }

    /// Takes note of the room that the transmit buffer has before a poll. Not only bytes that are
    /// queued are movement, but those that the peer acknowledges as well.
    pub fn has_room(&mut self, room: usize, now: Instant) {
        if room != self.room {
            self.progress = now;
        }
    }

    /// Takes note of the room that a poll has left.
    pub fn has_left(&mut self, room: usize) {
        self.room = room;
    }

    /// Lets go of the storage job: what was not committed is thrown away.
    pub fn cancel<S: Storage<Job = J>>(self, storage: &mut S) {
        if !self.job_ended {
            storage.cancel(self.job);
        }
    }

    /// When the transfer is given up unless it moves: the peer has `connect` to open the
    /// data connection, and then `stall` between any two movements.
    pub fn deadline(&self, connect: Duration, stall: Duration) -> (Instant, Outcome) {
        if let Some(at) = self.resumes_at {
            // Then `poll` goes on by itself.
            return (at, Outcome::Complete);
        }
        match self.stage {
            // Before that it waits for storage, and not for the peer.
            Stage::Opening | Stage::Asking | Stage::Connecting => {
                (self.progress + connect, Outcome::NoConnection(DataFault::TimedOut))
            }
            _ => (self.progress + stall, Outcome::Stalled),
        }
    }

    /// Advances the transfer.
    pub fn poll<S: Storage<Job = J>, const N: usize>(
        &mut self,
        storage: &mut S,
        data: &mut Data<'_>,
        scene: &mut Scene<'_, N>,
        now: Instant,
    ) -> Progress {
        if self.stage == Stage::Opening {
            return self.open(storage, now);
        }
        let stream: &mut dyn Stream = match data {
            Data::Failed(error) => return over(Outcome::NoConnection(DataFault::Net(*error))),
            Data::Absent => return over(Outcome::NoConnection(DataFault::TimedOut)),
            _ if self.stage == Stage::Asking => {
                self.stage = Stage::Connecting;
                return Progress::Announce;
            }
            Data::Opening(_) => return Progress::Wait,
            Data::Open(stream) => *stream,
        };
        if self.stage == Stage::Connecting {
            self.stage = Stage::Moving;
            self.progress = now;
        }
        let before = self.bytes;
        let progress = match self.stage {
            Stage::Committing if self.resumes_at.is_some_and(|at| now < at) => Progress::Wait,
            Stage::Committing | Stage::Committed => self.commit(storage, stream),
            Stage::Delivering => self.deliver(storage, stream, now),
            _ => self.move_bytes(storage, stream, scene, now),
        };
        if self.bytes != before {
            self.progress = now;
        }
        progress
    }

    fn open<S: Storage<Job = J>>(&mut self, storage: &mut S, now: Instant) -> Progress {
        match storage.poll_open(&mut self.job) {
            Poll::Pending => Progress::Pending,
            Poll::Ready(Err(error)) => over(Outcome::Storage(error)),
            Poll::Ready(Ok(size)) => {
                if let Direction::Retrieve(range, _) = self.direction {
                    self.size = size.map(|size| range.within(size));
                }
                self.stage = Stage::Asking;
                self.progress = now;
                Progress::Opened
            }
        }
    }

    fn move_bytes<S: Storage<Job = J>, const N: usize>(
        &mut self,
        storage: &mut S,
        stream: &mut dyn Stream,
        scene: &mut Scene<'_, N>,
        now: Instant,
    ) -> Progress {
        match &mut self.direction {
            Direction::Retrieve(..) => self.retrieve(storage, stream, scene.allowance),
            Direction::Store(_) => self.store(storage, stream, scene, now),
            Direction::List(listing) => {
                let progress = listing.poll(storage, &mut self.job, stream, scene);
                self.bytes = listing.bytes;
                progress.unwrap_or_else(|| self.finish(stream))
            }
        }
    }

    /// Storage writes straight into the transmit buffer.
    fn retrieve<S: Storage<Job = J>>(
        &mut self,
        storage: &mut S,
        stream: &mut dyn Stream,
        allowance: usize,
    ) -> Progress {
        let Direction::Retrieve(range, convert) = &mut self.direction else {
            return Progress::Wait;
        };
        let mut moved = 0;
        while moved < allowance {
            let out = stream.writable();
            if out.is_empty() {
                return wait_or_broken(stream);
            }
            let turn = out.len().min(allowance - moved);
            let out = range.room(self.bytes, out.get_mut(..turn).unwrap_or_default());
            let filled = match convert {
                _ if out.is_empty() => Poll::Ready(Ok(0)),
                None => storage.poll_read(&mut self.job, out),
                Some(convert) => convert.fill(out, |out| storage.poll_read(&mut self.job, out)),
            };
            match filled {
                Poll::Pending => return Progress::Pending,
                Poll::Ready(Err(error)) => return over(Outcome::Storage(error)),
                Poll::Ready(Ok(0)) => return self.finish(stream),
                Poll::Ready(Ok(n)) => {
                    stream.commit(n);
                    self.bytes += n as u64;
                    moved += n;
                }
            }
        }
        Progress::More
    }

    fn finish(&mut self, stream: &mut dyn Stream) -> Progress {
        stream.finish();
        self.stage = Stage::Delivering;
        Progress::Wait
    }

    /// 226 is not said before the peer has acknowledged the FIN: until then the end of the
    /// data may still be lost. Then it is left a moment to close its side: a client that does
    /// so has read the 150, and some do not notice a 226 that comes together with it.
    fn deliver<S: Storage<Job = J>>(
        &mut self,
        storage: &mut S,
        stream: &mut dyn Stream,
        now: Instant,
    ) -> Progress {
        match stream.status() {
            Status::Closed => self.end_job(storage),
            Status::Delivered if now >= *self.resumes_at.get_or_insert(now + CLOSING) => {
                self.end_job(storage)
            }
            Status::Broken => over(Outcome::Broken),
            Status::Delivered | Status::Open | Status::PeerFinished => Progress::Wait,
        }
    }

    fn end_job<S: Storage<Job = J>>(&mut self, storage: &mut S) -> Progress {
        let Poll::Ready(result) = storage.poll_finish(&mut self.job) else {
            return Progress::Pending;
        };
        self.job_ended = true;
        over(match (result, &self.direction) {
            (Err(error), _) => Outcome::Storage(error),
            (Ok(_), Direction::List(Listing { is_cut_off: true, .. })) => Outcome::CutOff,
            (Ok(_), _) => Outcome::Complete,
        })
    }

    /// Storage takes straight from the receive buffer; what it does not take closes the window.
    fn store<S: Storage<Job = J>, const N: usize>(
        &mut self,
        storage: &mut S,
        stream: &mut dyn Stream,
        scene: &Scene<'_, N>,
        now: Instant,
    ) -> Progress {
        let mut moved = 0;
        for _ in 0..PIECES_A_POLL {
            if moved >= scene.allowance {
                break;
            }
            // Looked at before the bytes: FIN is only reported with all bytes readable.
            let status = stream.status();
            let bytes = stream.readable();
            if bytes.is_empty() && status != Status::PeerFinished {
                return wait_or_broken(stream);
            }
            if bytes.len() as u64 > scene.max_upload.saturating_sub(self.bytes) {
                return over(Outcome::TooLarge);
            }
            let bytes = bytes.get(..scene.allowance - moved).unwrap_or(bytes);
            match self.store_some(storage, bytes) {
                Poll::Pending => return Progress::Pending,
                Poll::Ready(Err(error)) => return over(Outcome::Storage(error)),
                Poll::Ready(Ok(None)) => {
                    self.stage = Stage::Committing;
                    self.resumes_at = Some(now + GRACE);
                    return Progress::Wait;
                }
                // Storage did its share of something else.
                Poll::Ready(Ok(Some(0))) => return Progress::More,
                Poll::Ready(Ok(Some(n))) => {
                    stream.consume(n);
                    self.bytes += n as u64;
                    moved += n;
                }
            }
        }
        Progress::More
    }

    /// Stores from the front of `bytes`, and tells how many of them are done with; `None` if all
    /// is stored and there are no more.
    fn store_some<S: Storage<Job = J>>(
        &mut self,
        storage: &mut S,
        bytes: &[u8],
    ) -> Poll<Result<Option<usize>, Error>> {
        let Direction::Store(convert) = &mut self.direction else { return Poll::Ready(Ok(None)) };
        let Some(convert) = convert else {
            return match bytes {
                [] => Poll::Ready(Ok(None)),
                bytes => storage.poll_write(&mut self.job, bytes).map_ok(Some),
            };
        };
        // Twice at most: no CR is held behind the one that is stored.
        loop {
            return match convert.piece(bytes) {
                Piece::None => Poll::Ready(Ok(None)),
                Piece::HoldCr => Poll::Ready(Ok(Some(1))),
                Piece::Store(bytes) => storage.poll_write(&mut self.job, bytes).map_ok(Some),
                Piece::StoreCr => match storage.poll_write(&mut self.job, b"\r") {
                    Poll::Ready(Ok(1..)) => {
                        convert.stored_cr();
                        continue;
                    }
                    stored => stored.map_ok(Some),
                },
            };
        }
    }

    fn commit<S: Storage<Job = J>>(
        &mut self,
        storage: &mut S,
        stream: &mut dyn Stream,
    ) -> Progress {
        self.stage = Stage::Committed;
        let progress = self.end_job(storage);
        if progress == over(Outcome::Complete) {
            stream.finish();
        }
        progress
    }
}

pub(super) fn over(outcome: Outcome) -> Progress {
    Progress::Over(outcome)
}

pub(super) fn wait_or_broken(stream: &dyn Stream) -> Progress {
    match stream.status() {
        Status::Broken => over(Outcome::Broken),
        _ => Progress::Wait,
    }
}
