//! What a [`Disk`] promises beyond the contract: nothing leads out of its root.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tinyftp::storage::{By, Error, Keep, Kind, Op, Order, Path, Storage};

use crate::contract::*;
use crate::disk::Disk;

promises!(with_a_disk);

/// Lends a disk, and sees that no upload is left on it.
fn with_a_disk(test: impl FnOnce(&mut Disk)) {
    let place = Place::new();
    test(&mut place.disk());
    assert_eq!(place.temporaries(), [""; 0], "an upload was left");
}

/// A directory of this test alone: `root` in it is served, `outside` is not.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tinyftp-storage-{}-{count}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(place.root()).unwrap();
        fs::create_dir(place.outside()).unwrap();
        fs::write(place.outside().join("secret"), "secret").unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn outside(&self) -> PathBuf {
        self.0.join("outside")
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.root()).unwrap()
    }

    /// Swaps what `swapped` leads to, by atomic renames, between inside and outside.
    fn swap_while(&self, swapping: &AtomicBool) {
        let (new, swapped) = (self.0.join("new"), self.root().join("swapped"));
        let targets = [PathBuf::from("inside"), self.outside()];
        for target in targets.iter().cycle() {
            symlink(target, &new).unwrap();
            fs::rename(&new, &swapped).unwrap();
            if !swapping.load(Ordering::Relaxed) {
                break;
            }
        }
    }

    fn expect_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(self.outside()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(fs::read(self.outside().join("secret")).unwrap(), b"secret");
    }

    /// The names in the served tree that look like an upload under way.
    fn temporaries(&self) -> Vec<String> {
        let mut found = vec![];
        let mut directories = vec![self.root()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".part") {
                    found.push(name);
                }
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every way out that a symbolic link can be; the target of each is in `outside`, or nowhere.
fn links_out(place: &Place) -> [&'static str; 5] {
    let secret = place.outside().join("secret");
    symlink(&secret, place.root().join("absolute")).unwrap();
    symlink("../outside/secret", place.root().join("relative")).unwrap();
    symlink("/nowhere/at/all", place.root().join("dangling")).unwrap();
    symlink(place.outside(), place.root().join("directory")).unwrap();
    symlink("/proc/self/root", place.root().join("magic")).unwrap();
    ["/absolute", "/relative", "/dangling", "/directory", "/magic"]
}

#[test]
fn no_link_leads_out() {
    let place = Place::new();
    let disk = &mut place.disk();
    for link in links_out(&place) {
        assert_eq!(read(disk, link), Err(Error::Denied), "{link}");
        assert_eq!(list(disk, link), Err(Error::Denied), "{link}");
        for keep in [Keep::Nothing, Keep::Bytes(1), Keep::All] {
            assert_eq!(begin_write(disk, link, keep).err(), Some(Error::Denied), "{link}");
        }
        let entry = show(disk, link).unwrap();
        assert_eq!((entry.kind, entry.size), (Kind::Link, 0), "{link}");
    }
    place.expect_untouched();
}

#[test]
fn no_path_goes_through_a_link_that_leads_out() {
    let place = Place::new();
    let disk = &mut place.disk();
    links_out(&place);
    write(disk, "/mine", b"mine").unwrap();
    for link in ["/directory", "/magic"] {
        let (file, new) = (format!("{link}/secret"), format!("{link}/new"));
        assert_eq!(read(disk, &file), Err(Error::Denied));
        assert_eq!(show(disk, &file), Err(Error::Denied));
        assert_eq!(list(disk, &file), Err(Error::Denied));
        assert_eq!(delete(disk, &file), Err(Error::Denied));
        assert_eq!(write(disk, &file, b"mine"), Err(Error::Denied));
        assert_eq!(write(disk, &new, b"mine"), Err(Error::Denied));
        assert_eq!(make_directory(disk, &new), Err(Error::Denied));
        assert_eq!(remove_directory(disk, &new), Err(Error::Denied));
        assert_eq!(rename(disk, "/mine", &new), Err(Error::Denied));
        assert_eq!(rename(disk, &file, "/stolen"), Err(Error::Denied));
    }
    place.expect_untouched();
}

/// Delete and rename concern the link itself, as in POSIX.
#[test]
fn a_link_is_deleted_and_renamed_like_a_file() {
    let place = Place::new();
    let disk = &mut place.disk();
    for link in links_out(&place) {
        assert_eq!(remove_directory(disk, link), Err(Error::NotADirectory));
        assert_eq!(rename(disk, link, "/moved"), Ok(()));
        assert_eq!(read(disk, "/moved"), Err(Error::Denied));
        assert_eq!(delete(disk, "/moved"), Ok(()));
    }
    assert_eq!(names(disk, "/"), [""; 0]);
    place.expect_untouched();
}

#[test]
fn links_that_stay_inside_work() {
    let place = Place::new();
    let disk = &mut place.disk();
    tree(disk);
    make_directory(disk, "/links").unwrap();
    symlink("../dir/../file", place.root().join("links/file")).unwrap();
    symlink("../dir", place.root().join("links/dir")).unwrap();
    symlink("absent", place.root().join("links/nothing")).unwrap();
    symlink("loop", place.root().join("links/loop")).unwrap();

    assert_eq!(read(disk, "/links/file"), Ok(b"file".to_vec()));
    assert_eq!(read(disk, "/links/dir/inner"), Ok(b"inner".to_vec()));
    assert_eq!(names(disk, "/links/dir"), ["inner"]);
    assert_eq!(write(disk, "/links/dir/new", b"new"), Ok(()));
    assert_eq!(read(disk, "/dir/new"), Ok(b"new".to_vec()));
    assert_eq!(read(disk, "/links/nothing"), Err(Error::NotFound));
    assert_eq!(read(disk, "/links/loop"), Err(Error::Denied));
    assert_eq!(begin_write(disk, "/links/dir", Keep::Nothing).err(), Some(Error::IsADirectory));

    let listed = list(disk, "/links").unwrap();
    let kinds: BTreeMap<_, _> = listed.iter().map(|e| (&e.name[..], (e.kind, e.size))).collect();
    let expected: [(&[u8], _); 4] = [
        (b"dir", (Kind::Directory, 0)),
        (b"file", (Kind::File, 4)),
        (b"loop", (Kind::Link, 0)),
        (b"nothing", (Kind::Link, 0)),
    ];
    assert_eq!(kinds, expected.into());
    for entry in &listed {
        assert_eq!(show(disk, &[b"/links/", &entry.name[..]].concat()).as_ref(), Ok(entry));
    }
}

/// A client that follows it would go down for ever.
#[test]
fn a_link_that_leads_up_again_is_shown_as_a_link() {
    let place = Place::new();
    let root = place.root();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir(root.join("other")).unwrap();
    for (target, link) in
        [(".", "here"), ("../..", "a/b/up"), ("../other", "a/side"), ("../a", "other/back")]
    {
        symlink(target, root.join(link)).unwrap();
    }
    let disk = &mut place.disk();
    let mut kind = |directory: &str, name: &str| {
        let listed = list(disk, directory).unwrap();
        listed.iter().find(|entry| entry.name == name.as_bytes()).unwrap().kind
    };
    assert_eq!(kind("/", "here"), Kind::Link);
    assert_eq!(kind("/a/b", "up"), Kind::Link);
    // It leads aside, and from there back: which is up only for those who came that way.
    assert_eq!(kind("/a", "side"), Kind::Directory);
    assert_eq!(kind("/other", "back"), Kind::Directory);
    assert_eq!(kind("/a/side", "back"), Kind::Link);
    // Who asks for the link by name means what it leads to.
    assert_eq!(show(disk, "/here").unwrap().kind, Kind::Directory);
}

/// What a recursive listing goes down to: no link, so that it comes to an end.
#[test]
fn a_link_is_no_directory_of_a_directory() {
    let place = Place::new();
    let disk = &mut place.disk();
    tree(disk);
    links_out(&place);
    symlink(".", place.root().join("loop")).unwrap();
    symlink("dir", place.root().join("link")).unwrap();
    symlink("..", place.root().join("dir/up")).unwrap();
    assert_eq!(directories(disk, "/", b"").unwrap(), ["dir"]);
    assert_eq!(directories(disk, "/dir", b"").unwrap(), [""; 0]);
    assert_eq!(directories(disk, "/directory", b""), Err(Error::Denied));
    // A path may go through one, as that of any listing.
    assert_eq!(directories(disk, "/loop/link", b"").unwrap(), [""; 0]);
    assert_eq!(directories(disk, "/loop", b"").unwrap(), ["dir"]);
}

/// More entries than are sorted at once: they come in order all the same, each once.
#[test]
fn a_huge_directory_is_sorted() {
    let place = Place::new();
    let disk = &mut place.disk();
    const COUNT: usize = 20_000;
    fs::create_dir(place.root().join("last")).unwrap();
    for i in 0..COUNT {
        fs::File::create(place.root().join(format!("{:05}", i * 7919 % COUNT))).unwrap();
    }
    for reverse in [false, true] {
        let order = Order { by: By::Name, reverse };
        let mut job = begin(disk, Op::List { path: Path::ROOT, order }).unwrap();
        assert!(disk.poll_entry(&mut job).is_pending(), "a poll is bounded");
        let mut expected = (0..COUNT).map(|i| format!("{i:05}")).collect::<Vec<_>>();
        expected.push("last".into());
        if reverse {
            expected.reverse();
        }
        for name in expected {
            assert_eq!(next_name(disk, &mut job), Some(name));
        }
        assert_eq!(next_name(disk, &mut job), None);
        assert_eq!(finish(disk, job), Ok(()));
    }
    assert_eq!(directories(disk, "/", b"00000").unwrap(), ["last"]);
}

/// An upload replaces the link, so that its target stays as it was.
#[test]
fn an_upload_takes_the_place_of_a_link() {
    let place = Place::new();
    let disk = &mut place.disk();
    tree(disk);
    symlink("file", place.root().join("link")).unwrap();
    let job = begin_write(disk, "/link", Keep::All).unwrap();
    assert_eq!(complete(disk, job, b" and more"), Ok(()));
    assert_eq!(read(disk, "/link"), Ok(b"file and more".to_vec()));
    assert_eq!(read(disk, "/file"), Ok(b"file".to_vec()));
}

#[test]
fn a_link_swapped_during_the_call_does_not_lead_out() {
    let place = Place::new();
    let disk = &mut place.disk();
    fs::create_dir(place.root().join("inside")).unwrap();
    fs::write(place.root().join("inside/secret"), "harmless").unwrap();
    symlink("inside", place.root().join("swapped")).unwrap();
    let swapping = AtomicBool::new(true);
    let (mut harmless, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| place.swap_while(&swapping));
        // However the threads are scheduled, both targets are met.
        while harmless + refused < 10_000 || harmless == 0 || refused == 0 {
            match read(disk, "/swapped/secret").as_deref() {
                Ok(b"harmless") => harmless += 1,
                Err(Error::Denied | Error::Busy) => refused += 1,
                other => {
                    swapping.store(false, Ordering::Relaxed);
                    panic!("{other:?}");
                }
            }
        }
        swapping.store(false, Ordering::Relaxed);
    });
    place.expect_untouched();
}

#[test]
fn only_regular_files_are_opened() {
    let place = Place::new();
    let disk = &mut place.disk();
    let fifo = place.root().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = UnixListener::bind(place.root().join("socket")).unwrap();
    for special in ["/fifo", "/socket"] {
        assert_eq!(read(disk, special), Err(Error::Denied));
        assert_eq!(write(disk, special, b""), Err(Error::Denied));
        let job = begin_write(disk, special, Keep::All);
        assert_eq!(job.err(), Some(Error::Denied));
        assert_eq!(show(disk, special).unwrap().kind, Kind::Other);
        assert_eq!(list(disk, special).unwrap().len(), 1);
    }
    assert_eq!(names(disk, "/"), ["fifo", "socket"]);
    assert_eq!(delete(disk, "/fifo"), Ok(()));
}

#[test]
fn an_upload_under_way_is_hidden() {
    let place = Place::new();
    let disk = &mut place.disk();
    let job = begin_write(disk, "/a", Keep::Nothing).unwrap();
    // The file of an upload has no name. Where the file system has no such files it has one
    // of this form.
    let name = ".tinyftp-0123456789abcdef-1.part";
    fs::write(place.root().join(name), b"").unwrap();
    assert_eq!(place.temporaries(), [name]);
    write(disk, "/b", b"b").unwrap();
    assert_eq!(names(disk, "/"), ["b"]);
    for hidden in [format!("/{name}"), format!("/{}", name.to_uppercase())] {
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::NotFound | Error::BadName)), "{result:?}");
        };
        refused(read(disk, &hidden).map(drop));
        refused(show(disk, &hidden).map(drop));
        refused(list(disk, &hidden).map(drop));
        refused(delete(disk, &hidden));
        refused(write(disk, &hidden, b""));
        refused(make_directory(disk, &hidden));
        refused(remove_directory(disk, &hidden));
        refused(rename(disk, &hidden, "/c"));
        refused(rename(disk, "/b", &hidden));
        refused(write(disk, &format!("{hidden}/a"), b""));
    }
    assert_eq!(complete(disk, job, b"a"), Ok(()));
    assert_eq!(write(disk, "/.tinyftp-", b""), Ok(()), "only names of that form");
    assert_eq!(write(disk, "/a.part", b""), Ok(()));
    assert_eq!(names(disk, "/"), [".tinyftp-", "a", "a.part", "b"]);
    fs::remove_file(place.root().join(name)).unwrap();
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
    let place = Place::new();
    let disk = &mut place.disk();
    let mut job = begin_write(disk, "/a", Keep::Nothing).unwrap();
    push(disk, &mut job, b"content").unwrap();
    drop(job);
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode() {
    let place = Place::new();
    let disk = &mut place.disk();
    for mode in [0o600, 0o640, 0o755, 0o400] {
        let file = place.root().join("a");
        write(disk, "/a", b"old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        write(disk, "/a", b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, mode);
        assert_eq!(show(disk, "/a").unwrap().mode, Some(mode as u16));
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn what_is_kept_is_copied_over_many_polls() {
    let place = Place::new();
    let disk = &mut place.disk();
    let content = pattern(20 << 20);
    fs::write(place.root().join("a"), &content).unwrap();
    let mut job = begin_write(disk, "/a", Keep::All).unwrap();
    assert!(disk.poll_finish(&mut job).is_pending(), "8 MiB of 20");
    assert_eq!(complete(disk, job, b"end"), Ok(()));
    assert!(read(disk, "/a").unwrap() == [&content[..], b"end"].concat());
}

#[test]
fn a_file_cut_short_while_it_is_copied_is_no_upload() {
    let place = Place::new();
    let disk = &mut place.disk();
    let file = place.root().join("a");
    fs::write(&file, pattern(20 << 20)).unwrap();
    let mut job = begin_write(disk, "/a", Keep::All).unwrap();
    assert!(disk.poll_finish(&mut job).is_pending());
    fs::write(&file, "short").unwrap();
    assert_eq!(finish(disk, job), Err(Error::BadOffset));
    assert_eq!(read(disk, "/a"), Ok(b"short".to_vec()));
    assert_eq!(place.temporaries(), [""; 0]);
}

#[test]
fn the_root_is_opened_once() {
    let place = Place::new();
    let disk = &mut place.disk();
    write(disk, "/a", b"a").unwrap();
    let moved = place.0.join("moved");
    fs::rename(place.root(), &moved).unwrap();
    symlink(place.outside(), place.root()).unwrap();
    assert_eq!(names(disk, "/"), ["a"]);
    assert_eq!(read(disk, "/secret"), Err(Error::NotFound));
    place.expect_untouched();
}

#[test]
fn the_root_must_be_a_directory() {
    let place = Place::new();
    let opened = |path: PathBuf| Disk::open(&path).map_err(|error| error.kind()).err();
    assert_eq!(opened(place.root().join("none")), Some(ErrorKind::NotFound));
    assert_eq!(opened(place.outside().join("secret")), Some(ErrorKind::NotADirectory));
}

#[test]
fn what_is_new_has_the_mode_that_was_asked_for() {
    let place = Place::new();
    let disk = &mut place.disk();
    let mode = |name: &str| fs::metadata(place.root().join(name)).unwrap().mode() & 0o777;
    for asked in [0o600, 0o400] {
        let op = Op::Write { path: path("/file"), keep: Keep::Nothing, mode: asked };
        let job = begin(disk, op).unwrap();
        complete(disk, job, b"new").unwrap();
        assert_eq!(mode("file"), 0o600, "an old file keeps its mode");
    }
    let job = begin(disk, Op::MakeDirectory { path: path("/dir"), mode: 0o700 }).unwrap();
    finish(disk, job).unwrap();
    assert_eq!(mode("dir"), 0o700);
}

#[test]
fn no_link_leads_out_of_a_jail() {
    let place = Place::new();
    let root = place.root();
    fs::create_dir_all(root.join("anna/sub")).unwrap();
    fs::create_dir_all(root.join("otto")).unwrap();
    fs::write(root.join("otto/secret"), "secret").unwrap();
    fs::write(root.join("anna/own"), "own").unwrap();
    symlink("../otto/secret", root.join("anna/file")).unwrap();
    symlink("../otto", root.join("anna/dir")).unwrap();
    symlink("../own", root.join("anna/sub/inside")).unwrap();
    // Leads to what is not there, until it is renamed.
    symlink("../otto/secret", root.join("anna/sub/later")).unwrap();
    let disk = &mut place.disk();
    let jailed = |name: &'static str| path(name).in_jail(path("/anna"));
    fn attempt(disk: &mut Disk, op: Op<'_>) -> Option<Error> {
        match begin(disk, op) {
            Ok(job) => {
                disk.cancel(job);
                None
            }
            Err(error) => Some(error),
        }
    }
    fs::rename(root.join("anna/sub/later"), root.join("anna/later")).unwrap();
    for name in ["/anna/file", "/anna/later", "/anna/dir/secret"] {
        let read = Op::Read { path: jailed(name), offset: 0 };
        assert_eq!(attempt(disk, read), Some(Error::Denied), "{name}");
        let out = Op::Read { path: path(name), offset: 0 };
        assert_eq!(attempt(disk, out), None, "{name} without a jail");
    }
    let op = Op::Write { path: jailed("/anna/dir/new"), keep: Keep::Nothing, mode: 0o666 };
    assert_eq!(attempt(disk, op), Some(Error::Denied));
    let op = Op::List { path: jailed("/anna/dir"), order: Order::NAME };
    assert_eq!(attempt(disk, op), Some(Error::Denied));
    let op = Op::Rename { from: jailed("/anna/dir/secret"), to: jailed("/anna/x"), replace: true };
    assert_eq!(attempt(disk, op), Some(Error::Denied));
    let inside = Op::Read { path: jailed("/anna/sub/inside"), offset: 0 };
    assert_eq!(attempt(disk, inside), None);
    // A listing shows such a link as a thing of its own, and not what it leads to.
    let mut job = begin(disk, Op::List { path: jailed("/anna"), order: Order::NAME }).unwrap();
    let mut kinds = vec![];
    while let Some(entry) = next_entry(disk, &mut job).unwrap() {
        kinds.push((String::from_utf8(entry.name).unwrap(), entry.kind));
    }
    disk.cancel(job);
    let names = ["dir", "file", "later"].map(|name| (name.to_owned(), Kind::Link));
    assert!(names.iter().all(|shown| kinds.contains(shown)), "{kinds:?}");
}

#[test]
fn a_rename_that_does_nothing_frees_nothing() {
    let place = Place::new();
    let root = place.root();
    fs::create_dir(root.join("sub")).unwrap();
    symlink("sub", root.join("link")).unwrap();
    fs::write(root.join("sub/a"), [1; 60]).unwrap();
    fs::hard_link(root.join("sub/a"), root.join("b")).unwrap();
    let disk = &mut place.disk();
    for (from, to) in [("/sub/a", "/link/a"), ("/sub/a", "/b")] {
        let op = Op::Rename { from: path(from), to: path(to), replace: true };
        let job = begin(disk, op).unwrap();
        assert_eq!(gone(disk, job), Ok(0), "{from} {to}");
        assert!(root.join("sub/a").exists());
    }
    // The bytes stay as long as they have another name.
    for (name, bytes) in [("/b", 0), ("/sub/a", 60)] {
        let job = begin(disk, Op::Delete { path: path(name) }).unwrap();
        assert_eq!(gone(disk, job), Ok(bytes), "{name}");
    }
}

#[test]
fn an_upload_replaces_what_may_be_written() {
    let place = Place::new();
    let file = place.root().join("file");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    // Root may, and so may its server; others may not.
    let may = fs::OpenOptions::new().write(true).open(&file).is_ok();
    let disk = &mut place.disk();
    for keep in [Keep::Nothing, Keep::All, Keep::Bytes(1)] {
        match begin(disk, Op::Write { path: path("/file"), keep, mode: 0o666 }) {
            Ok(job) => {
                disk.cancel(job);
                assert!(may, "{keep:?}");
            }
            Err(error) => assert_eq!((error, may), (Error::Denied, false), "{keep:?}"),
        }
    }
}
