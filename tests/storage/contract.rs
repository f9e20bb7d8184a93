//! What every [`Storage`] must do: one function a promise, for any backend.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use tinyftp::storage::{By, Entry, Error, Keep, Kind, Op, Order, Path, Storage};
use tinyftp::time::Timestamp;

/// Makes a test of each promise, for the backend that `$with` lends to a closure.
macro_rules! promises {
    ($with:path) => {
        crate::contract::promises! { $with:
            what_was_written_is_read
            a_file_may_be_empty
            a_read_begins_at_its_offset
            a_file_is_longer_than_any_buffer
            a_missing_file_is_not_read
            a_write_shows_only_when_finished
            a_cancelled_write_leaves_nothing
            a_write_needs_its_directory
            a_write_may_keep_some_or_all
            a_long_file_is_kept
            what_is_kept_is_what_was_there_at_the_start
            a_reader_keeps_the_file_that_was_replaced
            a_reader_keeps_the_file_that_was_deleted
            of_two_writers_the_last_wins
            a_directory_is_removed_while_a_file_is_on_its_way
            a_directory_is_renamed_while_a_file_is_on_its_way
            a_target_becomes_a_directory_while_a_file_is_on_its_way
            a_listing_has_every_entry_once
            a_listing_of_a_file_is_that_file
            an_entry_may_be_opened_like_a_listing
            a_listing_of_nothing_fails
            a_listing_bears_changes
            a_listing_bears_the_end_of_its_directory
            a_listing_has_an_order
            a_listing_in_order_bears_changes
            a_listing_in_order_ends_however_much_is_added
            directories_are_told_after_a_name
            directories_bear_changes
            an_entry_tells_what_it_is
            directories_are_made_and_removed
            a_delete_is_for_files
            a_file_is_renamed
            a_directory_is_renamed_with_all_that_it_has
            a_rename_replaces_as_in_posix
            a_rename_may_not_replace
            a_rename_to_itself_changes_nothing
            a_directory_is_not_moved_into_itself
            a_date_is_set
            a_mode_is_set_or_refused
            what_is_left_is_told
            what_is_gone_is_told
            what_is_kept_is_told
            the_root_stays
            names_are_any_bytes
            names_have_an_end
        }
    };
    ($with:path: $($name:ident)*) => {
        $(#[test] fn $name() { $with(|storage| crate::contract::$name(storage)); })*
    };
}
pub(crate) use promises;

pub fn what_was_written_is_read(s: &mut impl Storage) {
    assert_eq!(write(s, "/a", b"first"), Ok(()));
    assert_eq!(read(s, "/a"), Ok(b"first".to_vec()));
    assert_eq!(write(s, "/a", b"2nd"), Ok(()));
    assert_eq!(read(s, "/a"), Ok(b"2nd".to_vec()));
}

pub fn a_file_may_be_empty(s: &mut impl Storage) {
    assert_eq!(write(s, "/a", b""), Ok(()));
    assert_eq!(read(s, "/a"), Ok(vec![]));
    assert_eq!(show(s, "/a").unwrap().size, 0);
    assert_eq!(write(s, "/a", b"content"), Ok(()));
    assert_eq!(write(s, "/a", b""), Ok(()));
    assert_eq!(read(s, "/a"), Ok(vec![]));
}

pub fn a_read_begins_at_its_offset(s: &mut impl Storage) {
    let content = pattern(1500);
    write(s, "/a", &content).unwrap();
    for offset in [0, 1, 511, 512, 513, 1024, 1499] {
        assert_eq!(read_from(s, "/a", offset), Ok(content[offset as usize..].to_vec()), "{offset}");
    }
    for offset in [1500, 1501, 1536, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX] {
        assert_eq!(read_from(s, "/a", offset), Ok(vec![]), "{offset}");
    }
}

pub fn a_file_is_longer_than_any_buffer(s: &mut impl Storage) {
    let content = pattern(700_001);
    write(s, "/a", &content).unwrap();
    let mut job = begin(s, Op::Read { path: path("/a"), offset: 600_000 }).unwrap();
    assert!(matches!(ready(|| s.poll_open(&mut job)), Ok(None | Some(700_001))));
    for size in [1, 7, 511, 512, 513, 5000] {
        let mut buf = vec![0; size];
        let count = ready(|| s.poll_read(&mut job, &mut buf)).unwrap();
        assert!((1..=size).contains(&count));
    }
    s.cancel(job);
    assert!(read(s, "/a").unwrap() == content);
}

pub fn a_missing_file_is_not_read(s: &mut impl Storage) {
    tree(s);
    assert_eq!(read(s, "/none"), Err(Error::NotFound));
    assert_eq!(read(s, "/none/none"), Err(Error::NotFound));
    assert_eq!(read(s, "/file/none"), Err(Error::NotADirectory));
    assert_eq!(read(s, "/dir"), Err(Error::IsADirectory));
    assert_eq!(read(s, "/"), Err(Error::IsADirectory));
}

pub fn a_write_shows_only_when_finished(s: &mut impl Storage) {
    write(s, "/old", b"old").unwrap();
    let mut old = begin_write(s, "/old", Keep::Nothing).unwrap();
    let mut new = begin_write(s, "/new", Keep::Nothing).unwrap();
    push(s, &mut old, b"replaced").unwrap();
    push(s, &mut new, b"new").unwrap();
    assert_eq!(read(s, "/old"), Ok(b"old".to_vec()));
    assert_eq!(read(s, "/new"), Err(Error::NotFound));
    assert_eq!(names(s, "/"), ["old"]);
    assert_eq!(finish(s, old), Ok(()));
    assert_eq!(finish(s, new), Ok(()));
    assert_eq!(read(s, "/old"), Ok(b"replaced".to_vec()));
    assert_eq!(read(s, "/new"), Ok(b"new".to_vec()));
}

pub fn a_cancelled_write_leaves_nothing(s: &mut impl Storage) {
    write(s, "/old", b"old").unwrap();
    for (name, keep) in [("/old", Keep::Nothing), ("/old", Keep::All), ("/new", Keep::Nothing)] {
        let mut job = begin_write(s, name, keep).unwrap();
        push(s, &mut job, &pattern(2000)).unwrap();
        s.cancel(job);
        let unused = s.start(Op::Write { path: path(name), keep, mode: 0o666 }, now()).unwrap();
        s.cancel(unused);
    }
    assert_eq!(read(s, "/old"), Ok(b"old".to_vec()));
    assert_eq!(names(s, "/"), ["old"]);
}

pub fn a_write_needs_its_directory(s: &mut impl Storage) {
    tree(s);
    assert_eq!(write(s, "/none/a", b""), Err(Error::NotFound));
    assert_eq!(write(s, "/file/a", b""), Err(Error::NotADirectory));
    // Refused at once, not only after the upload.
    assert_eq!(begin_write(s, "/dir", Keep::Nothing).err(), Some(Error::IsADirectory));
    assert_eq!(begin_write(s, "/dir", Keep::All).err(), Some(Error::IsADirectory));
    assert_eq!(begin_write(s, "/", Keep::Nothing).err(), Some(Error::IsADirectory));
}

pub fn a_write_may_keep_some_or_all(s: &mut impl Storage) {
    let kept = |s: &mut _, keep| {
        write(s, "/a", b"0123456789").unwrap();
        let job = begin_write(s, "/a", keep)?;
        complete(s, job, b"abc")?;
        read(s, "/a")
    };
    assert_eq!(kept(s, Keep::Nothing), Ok(b"abc".to_vec()));
    assert_eq!(kept(s, Keep::Bytes(0)), Ok(b"abc".to_vec()));
    assert_eq!(kept(s, Keep::Bytes(4)), Ok(b"0123abc".to_vec()));
    assert_eq!(kept(s, Keep::Bytes(10)), Ok(b"0123456789abc".to_vec()));
    assert_eq!(kept(s, Keep::All), Ok(b"0123456789abc".to_vec()));
    assert_eq!(kept(s, Keep::Bytes(u64::MAX)), Err(Error::BadOffset));
    // Refused at once, not only when it is copied.
    assert_eq!(begin_write(s, "/a", Keep::Bytes(11)).err(), Some(Error::BadOffset));
    assert_eq!(read(s, "/a"), Ok(b"0123456789".to_vec()));

    let job = begin_write(s, "/a", Keep::Bytes(3)).unwrap();
    assert_eq!(finish(s, job), Ok(()), "an empty upload cuts short");
    assert_eq!(read(s, "/a"), Ok(b"012".to_vec()));

    assert_eq!(begin_write(s, "/new", Keep::Bytes(1)).err(), Some(Error::BadOffset));
    let job = begin_write(s, "/new", Keep::All).unwrap();
    assert_eq!(complete(s, job, b"abc"), Ok(()), "append makes a file");
    let job = begin_write(s, "/zero", Keep::Bytes(0)).unwrap();
    assert_eq!(complete(s, job, b""), Ok(()));
    assert_eq!(read(s, "/new"), Ok(b"abc".to_vec()));
    assert_eq!(names(s, "/"), ["a", "new", "zero"]);
}

pub fn a_long_file_is_kept(s: &mut impl Storage) {
    let content = pattern(300_000);
    for kept in [1, 511, 512, 513, 32_767, 32_768, 32_769, 299_999, 300_000] {
        write(s, "/a", &content).unwrap();
        let job = begin_write(s, "/a", Keep::Bytes(kept as u64)).unwrap();
        complete(s, job, b"end").unwrap();
        assert!(read(s, "/a").unwrap() == [&content[..kept], b"end"].concat(), "{kept}");
    }
    write(s, "/a", &content).unwrap();
    let job = begin_write(s, "/a", Keep::All).unwrap();
    assert_eq!(finish(s, job), Ok(()), "finished before it was copied");
    assert!(read(s, "/a").unwrap() == content);
}

pub fn what_is_kept_is_what_was_there_at_the_start(s: &mut impl Storage) {
    let content = pattern(100_000);
    write(s, "/a", &content).unwrap();
    let job = begin_write(s, "/a", Keep::All).unwrap();
    write(s, "/a", b"other").unwrap();
    delete(s, "/a").unwrap();
    assert_eq!(complete(s, job, b"end"), Ok(()));
    assert!(read(s, "/a").unwrap() == [&content[..], b"end"].concat());
}

pub fn a_reader_keeps_the_file_that_was_replaced(s: &mut impl Storage) {
    let old = pattern(5000);
    write(s, "/a", &old).unwrap();
    let mut job = begin(s, Op::Read { path: path("/a"), offset: 0 }).unwrap();
    let mut front = [0; 100];
    let count = ready(|| s.poll_read(&mut job, &mut front)).unwrap();
    write(s, "/a", &[0; 9000]).unwrap();
    write(s, "/b", b"b").unwrap();
    rename(s, "/b", "/a").unwrap();
    let rest = pull(s, job).unwrap();
    assert!([&front[..count], &rest].concat() == old);
    assert_eq!(read(s, "/a"), Ok(b"b".to_vec()));
}

pub fn a_reader_keeps_the_file_that_was_deleted(s: &mut impl Storage) {
    let content = pattern(5000);
    make_directory(s, "/dir").unwrap();
    write(s, "/dir/a", &content).unwrap();
    let first = begin(s, Op::Read { path: path("/dir/a"), offset: 0 }).unwrap();
    let second = begin(s, Op::Read { path: path("/dir/a"), offset: 4000 }).unwrap();
    delete(s, "/dir/a").unwrap();
    assert_eq!(remove_directory(s, "/dir"), Ok(()));
    assert_eq!(read(s, "/dir/a"), Err(Error::NotFound));
    write(s, "/other", &[0; 9000]).unwrap();
    assert!(pull(s, first).unwrap() == content);
    assert!(pull(s, second).unwrap() == content[4000..]);
}

pub fn of_two_writers_the_last_wins(s: &mut impl Storage) {
    let mut one = begin_write(s, "/a", Keep::Nothing).unwrap();
    let mut two = begin_write(s, "/a", Keep::Nothing).unwrap();
    for _ in 0..10 {
        push(s, &mut one, &[1; 700]).unwrap();
        push(s, &mut two, &[2; 300]).unwrap();
    }
    assert_eq!(finish(s, two), Ok(()));
    assert!(read(s, "/a").unwrap() == [2; 3000]);
    assert_eq!(finish(s, one), Ok(()));
    assert!(read(s, "/a").unwrap() == [1; 7000]);
    assert_eq!(names(s, "/"), ["a"]);
}

pub fn a_directory_is_removed_while_a_file_is_on_its_way(s: &mut impl Storage) {
    make_directory(s, "/dir").unwrap();
    let mut job = begin_write(s, "/dir/a", Keep::Nothing).unwrap();
    push(s, &mut job, b"content").unwrap();
    // A storage may see the upload as an entry already. Then it stays, whole.
    match remove_directory(s, "/dir") {
        Ok(()) => {
            assert_eq!(finish(s, job), Err(Error::NotFound));
            assert_eq!(names(s, "/"), [""; 0]);
        }
        Err(error) => {
            assert_eq!(error, Error::NotEmpty);
            assert_eq!(finish(s, job), Ok(()));
            assert_eq!(read(s, "/dir/a"), Ok(b"content".to_vec()));
        }
    }
}

pub fn a_directory_is_renamed_while_a_file_is_on_its_way(s: &mut impl Storage) {
    make_directory(s, "/dir").unwrap();
    let job = begin_write(s, "/dir/a", Keep::Nothing).unwrap();
    rename(s, "/dir", "/moved").unwrap();
    make_directory(s, "/dir").unwrap();
    assert_eq!(complete(s, job, b"content"), Ok(()));
    assert_eq!(read(s, "/moved/a"), Ok(b"content".to_vec()));
    assert_eq!(names(s, "/dir"), [""; 0]);
}

pub fn a_target_becomes_a_directory_while_a_file_is_on_its_way(s: &mut impl Storage) {
    let job = begin_write(s, "/a", Keep::Nothing).unwrap();
    make_directory(s, "/a").unwrap();
    assert_eq!(complete(s, job, b"content"), Err(Error::IsADirectory));
    assert_eq!(names(s, "/"), ["a"]);
    assert_eq!(names(s, "/a"), [""; 0]);
}

pub fn a_listing_has_every_entry_once(s: &mut impl Storage) {
    assert_eq!(list(s, "/"), Ok(vec![]));
    tree(s);
    make_directory(s, "/dir/empty").unwrap();
    assert_eq!(names(s, "/"), ["dir", "file"]);
    assert_eq!(names(s, "/dir"), ["empty", "inner"]);
    assert_eq!(list(s, "/dir/empty"), Ok(vec![]));
    for i in 0..100 {
        write(s, &format!("/dir/empty/{i:03}"), b"").unwrap();
    }
    let expected: Vec<_> = (0..100).map(|i| format!("{i:03}")).collect();
    assert_eq!(names(s, "/dir/empty"), expected);
}

pub fn a_listing_of_a_file_is_that_file(s: &mut impl Storage) {
    tree(s);
    let listed = list(s, "/dir/inner").unwrap();
    assert_eq!(listed, [show(s, "/dir/inner").unwrap()]);
    assert_eq!(listed[0].name, b"inner");
}

pub fn an_entry_may_be_opened_like_a_listing(s: &mut impl Storage) {
    write(s, "/a", b"content").unwrap();
    let mut job = begin(s, Op::Stat { path: path("/a") }).unwrap();
    assert!(matches!(s.poll_open(&mut job), Poll::Ready(Ok(_))));
    assert!(matches!(s.poll_entry(&mut job), Poll::Ready(Ok(Some(_)))));
    assert_eq!(s.poll_entry(&mut job), Poll::Ready(Ok(None)));
    s.cancel(job);
}

pub fn a_listing_of_nothing_fails(s: &mut impl Storage) {
    tree(s);
    assert_eq!(list(s, "/none"), Err(Error::NotFound));
    assert_eq!(list(s, "/none/none"), Err(Error::NotFound));
    assert_eq!(list(s, "/file/none"), Err(Error::NotADirectory));
}

/// After each entry shown, it is deleted, one of those to come is replaced, one is renamed,
/// and one is added. What is there all the time is shown exactly once.
pub fn a_listing_bears_changes(s: &mut impl Storage) {
    for i in 0..40 {
        write(s, &format!("/stays{i}"), b"").unwrap();
        write(s, &format!("/renamed{i}"), b"").unwrap();
    }
    let mut job = begin(s, Op::List { path: Path::ROOT, order: Order::ANY }).unwrap();
    let mut shown = BTreeMap::new();
    let mut turn = 0;
    while let Some(name) = next_name(s, &mut job) {
        assert!(turn < 1000, "the listing follows its own changes");
        *shown.entry(name.clone()).or_insert(0) += 1;
        if !name.starts_with("stays") {
            // What was read ahead may have been renamed meanwhile.
            let _ = delete(s, &format!("/{name}"));
        }
        write(s, &format!("/stays{}", turn % 40), b"replaced").unwrap();
        let _ = rename(s, &format!("/renamed{}", 39 - turn % 40), &format!("/stays{}", turn % 7));
        write(s, &format!("/added{turn}"), b"").unwrap();
        turn += 1;
    }
    assert_eq!(finish(s, job), Ok(()));
    for i in 0..40 {
        assert_eq!(shown.get(&format!("stays{i}")), Some(&1), "stays{i}");
    }
    assert!(shown.values().all(|&times| times == 1), "{shown:?}");
}

pub fn a_listing_bears_the_end_of_its_directory(s: &mut impl Storage) {
    make_directory(s, "/dir").unwrap();
    write(s, "/dir/a", b"").unwrap();
    let mut fresh = begin(s, Op::List { path: path("/dir"), order: Order::ANY }).unwrap();
    let mut begun = begin(s, Op::List { path: path("/dir"), order: Order::ANY }).unwrap();
    assert_eq!(next_name(s, &mut begun), Some("a".into()));
    delete(s, "/dir/a").unwrap();
    remove_directory(s, "/dir").unwrap();
    write(s, "/dir", b"").unwrap();
    write(s, "/b", b"").unwrap();
    assert_eq!(next_name(s, &mut begun), None);
    // Unless it was read ahead.
    assert!(next_name(s, &mut fresh).is_none_or(|name| name == "a"));
    assert_eq!(next_name(s, &mut fresh), None);
    assert_eq!(finish(s, begun), Ok(()));
    s.cancel(fresh);
}

pub fn a_listing_has_an_order(s: &mut impl Storage) {
    // Made in an order that is none of those asked for; `d` and `e` are alike but for the name.
    for (name, size, date) in
        [("e", 20, 500), ("b", 30, 100), ("a", 10, 400), ("c", 1, 300), ("d", 20, 500)]
    {
        write(s, &format!("/{name}"), &pattern(size)).unwrap();
        set_modified(s, &format!("/{name}"), date).unwrap();
    }
    make_directory(s, "/B").unwrap();
    set_modified(s, "/B", 200).unwrap();
    for (by, expected) in [(By::Name, "Babcde"), (By::Date, "deacBb"), (By::Size, "bdeacB")] {
        assert_eq!(ordered(s, "/", Order { by, reverse: false }), expected, "{by:?}");
        let backwards: String = expected.chars().rev().collect();
        assert_eq!(ordered(s, "/", Order { by, reverse: true }), backwards, "{by:?}");
    }
    for order in ORDERS {
        assert_eq!(ordered(s, "/B", order), "", "{order:?}");
        assert_eq!(ordered(s, "/c", order), "c", "{order:?}");
    }
}

/// After each entry shown, it is deleted or replaced by the same, and some are added and renamed.
/// What stays as it is, is shown exactly once.
pub fn a_listing_in_order_bears_changes(s: &mut impl Storage) {
    for order in ORDERS {
        for i in 0..60 {
            write(s, &format!("/stays{i:02}"), &pattern(i / 10)).unwrap();
            set_modified(s, &format!("/stays{i:02}"), i as u64 / 10).unwrap();
            write(s, &format!("/goes{i:02}"), &pattern(i / 10)).unwrap();
            write(s, &format!("/moves{i:02}"), b"").unwrap();
        }
        let mut job = begin(s, Op::List { path: Path::ROOT, order }).unwrap();
        let mut shown = BTreeMap::new();
        for turn in 0.. {
            let Some(name) = next_name(s, &mut job) else { break };
            assert!(turn < 1000, "{order:?}: the listing follows its own changes");
            *shown.entry(name.clone()).or_insert(0) += 1;
            if name.starts_with("goes") {
                let _ = delete(s, &format!("/{name}"));
            }
            if turn < 60 {
                let _ = rename(s, &format!("/moves{turn:02}"), &format!("/a{turn}"));
                let _ = delete(s, &format!("/goes{:02}", 59 - turn));
                write(s, &format!("/{}{turn}", if turn % 2 == 0 { "z" } else { "added" }), b"")
                    .unwrap();
            }
        }
        assert_eq!(finish(s, job), Ok(()));
        for i in 0..60 {
            assert_eq!(shown.get(&format!("stays{i:02}")), Some(&1), "{order:?} stays{i}");
        }
        assert!(shown.values().all(|&times| times == 1), "{order:?}: {shown:?}");
        for name in names(s, "/") {
            delete(s, &format!("/{name}")).unwrap();
        }
    }
}

/// Something is always added where the listing comes to next; it ends with that, at the latest.
pub fn a_listing_in_order_ends_however_much_is_added(s: &mut impl Storage) {
    for order in ORDERS {
        let mut job = begin(s, Op::List { path: Path::ROOT, order }).unwrap();
        let mut shown = BTreeSet::new();
        for turn in 0..100 {
            let forward = if order.reverse { 100 - turn } else { turn };
            let name = format!("/{forward:03}");
            write(s, &name, &pattern(100 - forward)).unwrap();
            set_modified(s, &name, 100 - forward as u64).unwrap();
            if let Some(name) = next_name(s, &mut job) {
                assert!(shown.insert(name), "{order:?}");
            }
        }
        while let Some(name) = next_name(s, &mut job) {
            assert!(shown.insert(name), "{order:?}");
        }
        s.cancel(job);
        for name in names(s, "/") {
            delete(s, &format!("/{name}")).unwrap();
        }
    }
}

pub fn directories_are_told_after_a_name(s: &mut impl Storage) {
    for directory in ["/b", "/d", "/b/inner", "/a", "/ba", "/c"] {
        make_directory(s, directory).unwrap();
        write(s, &format!("{directory}-file"), b"").unwrap();
    }
    for (after, expected) in [
        ("", &["a", "b", "ba", "c", "d"][..]),
        ("a", &["b", "ba", "c", "d"]),
        ("aa", &["b", "ba", "c", "d"]),
        ("b-file", &["ba", "c", "d"]),
        ("b", &["ba", "c", "d"]),
        ("d", &[]),
        ("z", &[]),
    ] {
        assert_eq!(directories(s, "/", after.as_bytes()).unwrap(), expected, "after {after}");
    }
    assert_eq!(directories(s, "/b", b"").unwrap(), ["inner"]);
    assert_eq!(directories(s, "/a", b"").unwrap(), [""; 0]);
    // A name may be as long as any, and longer than any that is there.
    assert_eq!(directories(s, "/", &[b'b'; 5000]).unwrap(), ["c", "d"]);
    assert_eq!(directories(s, "/", &[0xff; 5000]).unwrap(), [""; 0]);
    assert_eq!(directories(s, "/none", b""), Err(Error::NotFound));
    assert_eq!(directories(s, "/a-file", b""), Err(Error::NotADirectory));
}

pub fn directories_bear_changes(s: &mut impl Storage) {
    for i in 0..40 {
        make_directory(s, &format!("/{i:02}")).unwrap();
    }
    let mut job = begin(s, Op::Directories { path: Path::ROOT, after: b"09" }).unwrap();
    for i in 10..40 {
        assert_eq!(next_name(s, &mut job), Some(format!("{i}")));
        remove_directory(s, &format!("/{i}")).unwrap();
        make_directory(s, &format!("/0{i}")).unwrap();
    }
    assert_eq!(next_name(s, &mut job), None);
    assert_eq!(next_name(s, &mut job), None);
    s.cancel(job);
}

pub fn an_entry_tells_what_it_is(s: &mut impl Storage) {
    tree(s);
    let begun = now().0;
    let recent = |entry: &Shown| entry.modified.abs_diff(begun) < 60;
    let file = show(s, "/file").unwrap();
    assert_eq!((&file.name[..], file.kind, file.size), (&b"file"[..], Kind::File, 4));
    let directory = show(s, "/dir").unwrap();
    assert_eq!(
        (&directory.name[..], directory.kind, directory.size),
        (&b"dir"[..], Kind::Directory, 0)
    );
    let root = show(s, "/").unwrap();
    assert_eq!((&root.name[..], root.kind, root.size), (&b""[..], Kind::Directory, 0));
    assert!(recent(&file) && recent(&directory) && recent(&root));
    assert_eq!(list(s, "/dir"), Ok(vec![show(s, "/dir/inner").unwrap()]));
    assert_eq!(show(s, "/none"), Err(Error::NotFound));
    assert_eq!(show(s, "/none/none"), Err(Error::NotFound));
    assert_eq!(show(s, "/file/none"), Err(Error::NotADirectory));
}

pub fn directories_are_made_and_removed(s: &mut impl Storage) {
    tree(s);
    assert_eq!(make_directory(s, "/dir"), Err(Error::Exists));
    assert_eq!(make_directory(s, "/file"), Err(Error::Exists));
    assert_eq!(make_directory(s, "/none/dir"), Err(Error::NotFound));
    assert_eq!(make_directory(s, "/file/dir"), Err(Error::NotADirectory));
    assert_eq!(make_directory(s, "/dir/deeper"), Ok(()));
    assert_eq!(make_directory(s, "/dir/deeper/still"), Ok(()));

    assert_eq!(remove_directory(s, "/none"), Err(Error::NotFound));
    assert_eq!(remove_directory(s, "/file"), Err(Error::NotADirectory));
    assert_eq!(remove_directory(s, "/dir"), Err(Error::NotEmpty));
    assert_eq!(remove_directory(s, "/dir/deeper"), Err(Error::NotEmpty));
    assert_eq!(remove_directory(s, "/dir/deeper/still"), Ok(()));
    assert_eq!(remove_directory(s, "/dir/deeper"), Ok(()));
    assert_eq!(remove_directory(s, "/dir/deeper"), Err(Error::NotFound));
    assert_eq!(names(s, "/dir"), ["inner"]);
}

pub fn a_delete_is_for_files(s: &mut impl Storage) {
    tree(s);
    assert_eq!(delete(s, "/none"), Err(Error::NotFound));
    assert_eq!(delete(s, "/none/none"), Err(Error::NotFound));
    assert_eq!(delete(s, "/file/none"), Err(Error::NotADirectory));
    assert_eq!(delete(s, "/dir"), Err(Error::IsADirectory));
    assert_eq!(delete(s, "/dir/inner"), Ok(()));
    assert_eq!(delete(s, "/dir/inner"), Err(Error::NotFound));
    assert_eq!(delete(s, "/file"), Ok(()));
    assert_eq!(names(s, "/"), ["dir"]);
    assert_eq!(names(s, "/dir"), [""; 0]);
}

pub fn a_file_is_renamed(s: &mut impl Storage) {
    tree(s);
    assert_eq!(rename(s, "/file", "/new"), Ok(()));
    assert_eq!(rename(s, "/new", "/dir/new"), Ok(()));
    assert_eq!(names(s, "/"), ["dir"]);
    assert_eq!(names(s, "/dir"), ["inner", "new"]);
    assert_eq!(read(s, "/dir/new"), Ok(b"file".to_vec()));
    assert_eq!(rename(s, "/none", "/new"), Err(Error::NotFound));
    assert_eq!(rename(s, "/none", "/none"), Err(Error::NotFound));
    assert_eq!(rename(s, "/dir/inner", "/none/new"), Err(Error::NotFound));
    assert_eq!(rename(s, "/dir/inner", "/dir/new/x"), Err(Error::NotADirectory));
    assert_eq!(rename(s, "/dir/inner/x", "/x"), Err(Error::NotADirectory));
    assert_eq!(names(s, "/dir"), ["inner", "new"]);
}

pub fn a_directory_is_renamed_with_all_that_it_has(s: &mut impl Storage) {
    tree(s);
    make_directory(s, "/other").unwrap();
    assert_eq!(rename(s, "/dir", "/other/moved"), Ok(()));
    assert_eq!(names(s, "/"), ["file", "other"]);
    assert_eq!(read(s, "/other/moved/inner"), Ok(b"inner".to_vec()));
    assert_eq!(write(s, "/other/moved/more", b"more"), Ok(()));
    assert_eq!(rename(s, "/other/moved", "/dir"), Ok(()));
    assert_eq!(names(s, "/dir"), ["inner", "more"]);
    assert_eq!(remove_directory(s, "/other"), Ok(()));
}

pub fn a_rename_replaces_as_in_posix(s: &mut impl Storage) {
    tree(s);
    write(s, "/other", b"other").unwrap();
    make_directory(s, "/empty").unwrap();
    assert_eq!(rename(s, "/other", "/file"), Ok(()));
    assert_eq!(read(s, "/file"), Ok(b"other".to_vec()));
    assert_eq!(rename(s, "/file", "/empty"), Err(Error::IsADirectory));
    assert_eq!(rename(s, "/file", "/dir"), Err(Error::IsADirectory));
    assert_eq!(rename(s, "/dir", "/file"), Err(Error::NotADirectory));
    assert_eq!(rename(s, "/empty", "/dir"), Err(Error::NotEmpty));
    assert_eq!(names(s, "/"), ["dir", "empty", "file"]);
    assert_eq!(rename(s, "/dir", "/empty"), Ok(()));
    assert_eq!(names(s, "/"), ["empty", "file"]);
    assert_eq!(read(s, "/empty/inner"), Ok(b"inner".to_vec()));
}

pub fn a_rename_may_not_replace(s: &mut impl Storage) {
    tree(s);
    write(s, "/other", b"other").unwrap();
    make_directory(s, "/empty").unwrap();
    let mut rename =
        |from, to| change(s, Op::Rename { from: path(from), to: path(to), replace: false });
    for to in ["/file", "/dir", "/empty"] {
        assert_eq!(rename("/other", to), Err(Error::Exists), "{to}");
    }
    assert_eq!(rename("/dir", "/empty"), Err(Error::Exists));
    assert_eq!(rename("/other", "/new"), Ok(()));
    assert_eq!(names(s, "/"), ["dir", "empty", "file", "new"]);
    assert_eq!(read(s, "/file"), Ok(b"file".to_vec()));
}

pub fn a_rename_to_itself_changes_nothing(s: &mut impl Storage) {
    tree(s);
    assert_eq!(rename(s, "/file", "/file"), Ok(()));
    assert_eq!(rename(s, "/dir", "/dir"), Ok(()));
    assert_eq!(rename(s, "/dir/inner", "/dir/inner"), Ok(()));
    assert_eq!(names(s, "/"), ["dir", "file"]);
    assert_eq!(read(s, "/file"), Ok(b"file".to_vec()));
    assert_eq!(read(s, "/dir/inner"), Ok(b"inner".to_vec()));
}

pub fn a_directory_is_not_moved_into_itself(s: &mut impl Storage) {
    tree(s);
    make_directory(s, "/dir/deeper").unwrap();
    assert_eq!(rename(s, "/dir", "/dir/new"), Err(Error::Denied));
    assert_eq!(rename(s, "/dir", "/dir/deeper/new"), Err(Error::Denied));
    assert_eq!(rename(s, "/dir", "/dir/deeper"), Err(Error::Denied));
    assert_eq!(rename(s, "/dir/deeper", "/dir"), Err(Error::NotEmpty));
    assert_eq!(rename(s, "/dir", "/dirt"), Ok(()), "only a common beginning");
    assert_eq!(names(s, "/dirt"), ["deeper", "inner"]);
}

pub fn a_date_is_set(s: &mut impl Storage) {
    write(s, "/a", b"content").unwrap();
    make_directory(s, "/dir").unwrap();
    for (what, seconds) in [("/a", 951_782_400), ("/dir", 1), ("/a", 0), ("/a", 4_102_444_800)] {
        assert_eq!(set_modified(s, what, seconds), Ok(()));
        assert_eq!(show(s, what).unwrap().modified, seconds);
        assert_eq!(set_modified(s, "/absent", seconds), Err(Error::NotFound));
        assert_eq!(set_modified(s, "/a/b", seconds), Err(Error::NotADirectory));
    }
    assert_eq!(read(s, "/a"), Ok(b"content".to_vec()));
}

pub fn a_mode_is_set_or_refused(s: &mut impl Storage) {
    write(s, "/a", b"content").unwrap();
    let set = |name, mode| Op::SetMode { path: path(name), mode };
    let has_modes = show(s, "/a").unwrap().mode.is_some();
    let expected = if has_modes { Ok(()) } else { Err(Error::Denied) };
    for mode in [0o600, 0o755] {
        assert_eq!(change(s, set("/a", mode)), expected);
        assert_eq!(show(s, "/a").unwrap().mode, has_modes.then_some(mode));
    }
    assert_eq!(change(s, set("/absent", 0o600)), Err(Error::NotFound));
}

pub fn what_is_left_is_told(s: &mut impl Storage) {
    write(s, "/a", b"content").unwrap();
    make_directory(s, "/dir").unwrap();
    for directory in ["/", "/dir"] {
        let mut job = begin(s, Op::Available { path: path(directory) }).unwrap();
        let left = s.poll_open(&mut job);
        assert!(matches!(left, Poll::Ready(Ok(Some(1..)))), "{left:?}");
        s.cancel(job);
    }
    let ask = |name| Op::Available { path: path(name) };
    assert_eq!(begin(s, ask("/a")).err(), Some(Error::NotADirectory));
    assert_eq!(begin(s, ask("/absent")).err(), Some(Error::NotFound));
}

pub fn what_is_kept_is_told(s: &mut impl Storage) {
    write(s, "/a", b"content").unwrap();
    for (file, keep, kept) in [
        ("/a", Keep::Nothing, 0),
        ("/a", Keep::Bytes(3), 3),
        ("/a", Keep::All, 7),
        ("/b", Keep::All, 0),
    ] {
        let mut job = s.start(Op::Write { path: path(file), keep, mode: 0o666 }, now()).unwrap();
        assert_eq!(ready(|| s.poll_open(&mut job)), Ok(Some(kept)), "{file} {keep:?}");
        s.cancel(job);
    }
}

pub fn what_is_gone_is_told(s: &mut impl Storage) {
    make_directory(s, "/dir").unwrap();
    let mut ends = |op: Op<'_>, content: &[u8]| {
        let mut job = begin(s, op).unwrap();
        push(s, &mut job, content).unwrap();
        gone(s, job)
    };
    let (a, b) = (path("/a"), path("/b"));
    assert_eq!(ends(Op::Write { path: a, keep: Keep::Nothing, mode: 0o666 }, b"first"), Ok(0));
    assert_eq!(ends(Op::Write { path: a, keep: Keep::Nothing, mode: 0o666 }, b"2nd"), Ok(5));
    assert_eq!(ends(Op::Write { path: a, keep: Keep::All, mode: 0o666 }, b"more"), Ok(3));
    assert_eq!(ends(Op::Write { path: a, keep: Keep::Bytes(2), mode: 0o666 }, b""), Ok(7));
    assert_eq!(ends(Op::Write { path: b, keep: Keep::All, mode: 0o666 }, b"new"), Ok(0));
    assert_eq!(ends(Op::Rename { from: b, to: b, replace: true }, b""), Ok(0));
    assert_eq!(ends(Op::Rename { from: b, to: a, replace: true }, b""), Ok(2));
    assert_eq!(ends(Op::Rename { from: a, to: b, replace: true }, b""), Ok(0));
    assert_eq!(ends(Op::Delete { path: b }, b""), Ok(3));
    assert_eq!(ends(Op::RemoveDirectory { path: path("/dir") }, b""), Ok(0));
}

pub fn the_root_stays(s: &mut impl Storage) {
    assert_eq!(make_directory(s, "/"), Err(Error::Exists));
    assert_eq!(remove_directory(s, "/"), Err(Error::Denied));
    assert_eq!(delete(s, "/"), Err(Error::IsADirectory));
    tree(s);
    assert_eq!(remove_directory(s, "/"), Err(Error::Denied));
    for (from, to) in [("/", "/new"), ("/", "/"), ("/file", "/"), ("/dir", "/")] {
        assert_eq!(rename(s, from, to), Err(Error::Denied), "{from} {to}");
    }
    assert_eq!(names(s, "/"), ["dir", "file"]);
}

pub fn names_are_any_bytes(s: &mut impl Storage) {
    let longest = [b'n'; 64];
    let odd: [&[u8]; 15] = [
        b" ",
        b" a ",
        b"...",
        b".a",
        b"-rf",
        b"*",
        b"a\\b",
        b"\"",
        b"\n",
        b"a\r\nb",
        b"\x1b[2J",
        "Grüße 世界".as_bytes(),
        b"\xff\xfe",
        b"CON",
        &longest,
    ];
    make_directory(s, "/dir").unwrap();
    for name in odd {
        let file = [b"/dir/", name].concat();
        assert_eq!(write(s, &file, name), Ok(()), "{}", name.escape_ascii());
        assert_eq!(read(s, &file), Ok(name.to_vec()));
        assert_eq!(show(s, &file).unwrap().name, name);
        let directory = [b"/", name].concat();
        assert_eq!(make_directory(s, &directory), Ok(()));
        assert_eq!(write(s, &[&directory[..], b"/", name].concat(), b"x"), Ok(()));
        assert_eq!(
            rename(s, &[&directory[..], b"/", name].concat(), &[&directory[..], b"/a"].concat()),
            Ok(())
        );
    }
    let listed = list(s, "/dir").unwrap().into_iter().map(|entry| entry.name);
    assert_eq!(listed.collect::<BTreeSet<_>>(), odd.iter().map(|name| name.to_vec()).collect());
    assert_eq!(read(s, "/con"), Err(Error::NotFound), "case matters");
}

pub fn names_have_an_end(s: &mut impl Storage) {
    write(s, "/a", b"a").unwrap();
    let long = format!("/{}", "n".repeat(1000));
    assert_eq!(write(s, &long, b""), Err(Error::BadName));
    assert_eq!(make_directory(s, &long), Err(Error::BadName));
    assert_eq!(rename(s, "/a", &long), Err(Error::BadName));
    assert!(matches!(read(s, &long), Err(Error::BadName | Error::NotFound)));
    assert!(matches!(list(s, &long), Err(Error::BadName | Error::NotFound)));
    assert!(matches!(delete(s, &long), Err(Error::BadName | Error::NotFound)));
    assert!(read(s, &"/deep".repeat(10_000)).is_err());
    assert_eq!(names(s, "/"), ["a"]);
    assert_eq!(read(s, "/a"), Ok(b"a".to_vec()));
}

/// An [`Entry`] of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    pub modified: u64,
    pub mode: Option<u16>,
}

impl From<Entry<'_>> for Shown {
    fn from(entry: Entry<'_>) -> Self {
        let Entry { name, kind, size, modified, mode, id: _ } = entry;
        Self { name: name.to_vec(), kind, size, modified: modified.0, mode }
    }
}

/// `/file` and `/dir/inner`, each with its name in it.
pub fn tree(s: &mut impl Storage) {
    write(s, "/file", b"file").unwrap();
    make_directory(s, "/dir").unwrap();
    write(s, "/dir/inner", b"inner").unwrap();
}

/// Bytes that differ from block to block.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

pub fn path<P: AsRef<[u8]> + ?Sized>(path: &P) -> Path<'_> {
    Path::new(path.as_ref()).expect("a normal path")
}

pub fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// Polls, turn after turn.
pub fn ready<T>(mut poll: impl FnMut() -> Poll<T>) -> T {
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = poll() {
            return value;
        }
        std::thread::yield_now();
    }
    panic!("never ready");
}

/// Starts and opens; an error may come from either.
pub fn begin<S: Storage>(s: &mut S, op: Op<'_>) -> Result<S::Job, Error> {
    let mut job = s.start(op, now())?;
    match ready(|| s.poll_open(&mut job)) {
        Ok(_) => Ok(job),
        Err(error) => {
            s.cancel(job);
            Err(error)
        }
    }
}

pub fn finish<S: Storage>(s: &mut S, job: S::Job) -> Result<(), Error> {
    gone(s, job).map(|_| ())
}

/// Finishes; the bytes that are gone.
pub fn gone<S: Storage>(s: &mut S, mut job: S::Job) -> Result<u64, Error> {
    ready(|| s.poll_finish(&mut job))
}

/// All that is left of a read, in buffers of an odd size.
pub fn pull<S: Storage>(s: &mut S, mut job: S::Job) -> Result<Vec<u8>, Error> {
    let mut content = vec![];
    let mut buf = [0; 1460];
    loop {
        match ready(|| s.poll_read(&mut job, &mut buf)) {
            Ok(0) => return finish(s, job).map(|()| content),
            Ok(count) => content.extend_from_slice(&buf[..count]),
            Err(error) => {
                s.cancel(job);
                return Err(error);
            }
        }
    }
}

pub fn read_from<P>(s: &mut impl Storage, file: &P, offset: u64) -> Result<Vec<u8>, Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    let job = begin(s, Op::Read { path: path(file), offset })?;
    pull(s, job)
}

pub fn read<P: AsRef<[u8]> + ?Sized>(s: &mut impl Storage, file: &P) -> Result<Vec<u8>, Error> {
    read_from(s, file, 0)
}

pub fn begin_write<S: Storage, P>(s: &mut S, file: &P, keep: Keep) -> Result<S::Job, Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    begin(s, Op::Write { path: path(file), keep, mode: 0o666 })
}

/// Writes all of `content`, in pieces of an odd size.
pub fn push<S: Storage>(s: &mut S, job: &mut S::Job, content: &[u8]) -> Result<(), Error> {
    for mut piece in content.chunks(1460) {
        while !piece.is_empty() {
            let count = ready(|| s.poll_write(job, piece))?;
            piece = &piece[count..];
        }
    }
    Ok(())
}

/// Writes `content` and finishes.
pub fn complete<S: Storage>(s: &mut S, mut job: S::Job, content: &[u8]) -> Result<(), Error> {
    match push(s, &mut job, content) {
        Ok(()) => finish(s, job),
        Err(error) => {
            s.cancel(job);
            Err(error)
        }
    }
}

pub fn write<P>(s: &mut impl Storage, file: &P, content: &[u8]) -> Result<(), Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    let job = begin_write(s, file, Keep::Nothing)?;
    complete(s, job, content)
}

pub fn next_entry<S: Storage>(s: &mut S, job: &mut S::Job) -> Result<Option<Shown>, Error> {
    ready(|| s.poll_entry(job).map(|result| result.map(|entry| entry.map(Shown::from))))
}

pub fn next_name<S: Storage>(s: &mut S, job: &mut S::Job) -> Option<String> {
    next_entry(s, job).unwrap().map(|entry| String::from_utf8(entry.name).unwrap())
}

fn entries(s: &mut impl Storage, op: Op<'_>) -> Result<Vec<Shown>, Error> {
    let mut job = begin(s, op)?;
    let mut entries = vec![];
    while let Some(entry) = next_entry(s, &mut job)? {
        entries.push(entry);
    }
    finish(s, job).map(|()| entries)
}

pub fn list<P>(s: &mut impl Storage, directory: &P) -> Result<Vec<Shown>, Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    entries(s, Op::List { path: path(directory), order: Order::ANY })
}

/// Every order but none, both ways.
const ORDERS: [Order; 6] = [
    Order { by: By::Name, reverse: false },
    Order { by: By::Name, reverse: true },
    Order { by: By::Date, reverse: false },
    Order { by: By::Date, reverse: true },
    Order { by: By::Size, reverse: false },
    Order { by: By::Size, reverse: true },
];

/// The names in a directory, one behind the other as they come.
pub fn ordered(s: &mut impl Storage, directory: &str, order: Order) -> String {
    let listed = entries(s, Op::List { path: path(directory), order }).unwrap();
    listed.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect()
}

pub fn directories(s: &mut impl Storage, of: &str, after: &[u8]) -> Result<Vec<String>, Error> {
    let listed = entries(s, Op::Directories { path: path(of), after })?;
    assert!(listed.iter().all(|entry| entry.kind == Kind::Directory));
    Ok(listed.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect())
}

/// The names in a directory, sorted.
pub fn names(s: &mut impl Storage, directory: &str) -> Vec<String> {
    let entries = list(s, directory).unwrap().into_iter();
    let mut names: Vec<_> =
        entries.map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
    names.sort();
    names
}

pub fn show<P: AsRef<[u8]> + ?Sized>(s: &mut impl Storage, what: &P) -> Result<Shown, Error> {
    let mut shown = entries(s, Op::Stat { path: path(what) })?;
    assert_eq!(shown.len(), 1);
    Ok(shown.remove(0))
}

fn set_modified(s: &mut impl Storage, what: &str, seconds: u64) -> Result<(), Error> {
    change(s, Op::SetModified { path: path(what), modified: Timestamp(seconds) })
}

fn change(s: &mut impl Storage, op: Op<'_>) -> Result<(), Error> {
    let job = begin(s, op)?;
    finish(s, job)
}

pub fn make_directory<P>(s: &mut impl Storage, directory: &P) -> Result<(), Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    change(s, Op::MakeDirectory { path: path(directory), mode: 0o777 })
}

pub fn remove_directory<P>(s: &mut impl Storage, directory: &P) -> Result<(), Error>
where
    P: AsRef<[u8]> + ?Sized,
{
    change(s, Op::RemoveDirectory { path: path(directory) })
}

pub fn delete<P: AsRef<[u8]> + ?Sized>(s: &mut impl Storage, file: &P) -> Result<(), Error> {
    change(s, Op::Delete { path: path(file) })
}

pub fn rename<P, Q>(s: &mut impl Storage, from: &P, to: &Q) -> Result<(), Error>
where
    P: AsRef<[u8]> + ?Sized,
    Q: AsRef<[u8]> + ?Sized,
{
    change(s, Op::Rename { from: path(from), to: path(to), replace: true })
}
