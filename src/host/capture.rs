//! Every frame in a file that Wireshark opens: `--pcap`.
//!
//! A frame is written as soon as it has come or gone, in one piece: who reads the file meanwhile
//! sees all there was, and however the server ends, the file is whole.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use log::warn;
use rustix::fs::OFlags;
use smoltcp::phy::PcapSink;
use smoltcp::time::Instant;

use super::cli::Options;
use super::clock::Clock;
use super::size::Size;

/// The mode of the file: passwords travel in FTP.
const MODE: u32 = 0o600;

/// Where frames are recorded, if they are.
pub struct Capture {
    file: Option<File>,
    limit: Size,
    /// Bytes of whole records in the file.
    written: u64,
    /// The date at the start of time, since 1970.
    epoch: smoltcp::time::Duration,
    record: Vec<u8>,
}

impl Capture {
    /// What the options say.
    pub fn wanted(options: &Options, clock: Clock) -> Result<Self, String> {
        match &options.pcap {
            Some(path) => {
                Self::open(path, options.root.as_deref(), options.pcap_limit, clock.epoch)
            }
            None => Ok(Self::to(None, options.pcap_limit, clock.epoch)),
        }
    }

    /// A capture in a file of that name, which has at most `limit` bytes. What clients may see,
    /// below `root`, is no place for it.
    fn open(
        path: &Path,
        root: Option<&Path>,
        limit: Size,
        epoch: Duration,
    ) -> Result<Self, String> {
        let wrong = |what: &str| format!("--pcap: {} {what}", path.display());
        if root.is_some_and(|root| is_below(path, root)) {
            return Err(wrong("is below --root, where clients could read what others send"));
        }
        let cannot = |error| wrong(&format!("cannot be written: {error}"));
        let file = create(path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(wrong("is no regular file"));
        }
        file.set_permissions(Permissions::from_mode(MODE)).map_err(cannot)?;
        file.set_len(0).map_err(cannot)?;
        Ok(Self::to(Some(file), limit, epoch))
    }

    fn to(file: Option<File>, limit: Size, epoch: Duration) -> Self {
        Self { file, limit, written: 0, epoch: epoch.into(), record: Vec::new() }
    }

    /// The file stays as it is; the server goes on.
    fn end(&mut self, reason: &str) {
        self.file = None;
        warn!("the capture has ended: {reason}");
    }
}

/// A FIFO that nobody reads would not open, and is none of ours.
fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(MODE);
    options.custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
}

fn is_below(path: &Path, root: &Path) -> bool {
    let directory = |path: PathBuf| path.parent().map(Path::to_owned)?.canonicalize().ok();
    let directory = absolute(path).ok().and_then(directory);
    directory.zip(root.canonicalize().ok()).is_some_and(|(path, root)| path.starts_with(root))
}

impl PcapSink for Capture {
    fn write(&mut self, data: &[u8]) {
        self.record.extend_from_slice(data);
    }

    /// Writes the record; what does not fit any more is not begun.
    fn flush(&mut self) {
        let Some(file) = &mut self.file else { return self.record.clear() };
        let total = self.written + self.record.len() as u64;
        if total > self.limit.0 {
            self.end(&format!("--pcap-limit {} is reached", self.limit));
        } else if let Err(error) = file.write_all(&self.record) {
            // A record that has only begun would look like damage.
            let _ = file.set_len(self.written);
            self.end(&error.to_string());
        } else {
            self.written = total;
        }
        self.record.clear();
    }

    fn packet(&mut self, time: Instant, frame: &[u8]) {
        if self.file.is_some() {
            self.packet_header(time + self.epoch, frame.len());
            self.write(frame);
            self.flush();
        }
    }
}

/// Without a single frame, the file still has its header.
impl Drop for Capture {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use smoltcp::phy::PcapLinkType;

    use super::*;

    /// A directory with a capture, which goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("tinyftp-capture-{name}-{}", std::process::id());
            let place = Self(std::env::temp_dir().join(name));
            fs::create_dir(&place.0).unwrap();
            place
        }

        fn file(&self) -> PathBuf {
            self.0.join("pcap")
        }

        fn capture(&self, limit: u64) -> Capture {
            let epoch = Duration::new(1_795_326_203, 250_000_000);
            let mut capture = Capture::open(&self.file(), None, Size(limit), epoch).unwrap();
            capture.global_header(PcapLinkType::Ethernet);
            capture
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn word(file: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn frames_have_their_date_and_are_there_at_once() {
        let place = Place::new("frames");
        fs::write(place.file(), [0; 1000]).unwrap();
        let mut capture = place.capture(1000);
        capture.packet(Instant::from_micros(2_800_000), b"a frame");
        let file = fs::read(place.file()).unwrap();
        assert_eq!((file.len(), word(&file, 0)), (24 + 16 + 7, 0xa1b2_c3d4));
        let header = [24, 28, 32, 36].map(|at| word(&file, at));
        assert_eq!((header, &file[40..]), ([1_795_326_206, 50_000, 7, 7], &b"a frame"[..]));
        assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_capture_without_frames_can_be_opened() {
        let place = Place::new("header");
        drop(place.capture(1000));
        assert_eq!(fs::read(place.file()).unwrap().len(), 24);
    }

    #[test]
    fn the_limit_ends_it_between_two_frames() {
        let place = Place::new("limit");
        let mut capture = place.capture(24 + 2 * 26);
        for _ in 0..3 {
            capture.packet(Instant::ZERO, &[0; 10]);
        }
        capture.packet(Instant::ZERO, &[]);
        assert_eq!(fs::read(place.file()).unwrap().len(), 24 + 2 * 26);
        assert!(capture.file.is_none());
    }

    #[test]
    fn an_error_ends_it() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut capture = Capture::to(Some(file), Size(1000), Duration::ZERO);
        capture.packet(Instant::ZERO, b"a frame");
        assert!(capture.file.is_none());
        capture.packet(Instant::ZERO, b"a frame");
    }

    #[test]
    fn what_is_no_place_for_it() {
        let place = Place::new("places");
        let open = |path: &Path, root: Option<&Path>| {
            Capture::open(path, root, Size(1000), Duration::ZERO).err().unwrap_or_default()
        };
        assert!(open(Path::new("/dev/null"), None).ends_with("is no regular file"));
        assert!(open(&place.0, None).contains("cannot be written"));
        assert!(open(Path::new("/nowhere/at/all"), None).contains("cannot be written"));
        assert!(open(&place.file(), Some(&place.0)).contains("is below --root"));
        let around = place.0.join("../").join(place.0.file_name().unwrap()).join("pcap");
        assert!(open(&around, Some(&place.0)).contains("is below --root"));
        assert!(!place.file().exists());
        assert_eq!(open(&place.file(), Some(&place.0.join("nowhere"))), "");
    }
}
