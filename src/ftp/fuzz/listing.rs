//! Paths, patterns, lines of listings, facts, addresses and dates.

use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::command_line::addresses;
use crate::auth::Rights;
use crate::ftp::facts::{Facts, TimeVal};
use crate::ftp::glob;
use crate::ftp::list::{self, Format, Options};
use crate::ftp::modify::time_val;
use crate::ftp::path::{PathBuf, PathError};
use crate::storage::{By, Entry, Kind, Order, Path};
use crate::time::Timestamp;

/// Short, so that short inputs find out what comes of a long path.
const PATH_MAX: usize = 64;

/// The input is three fields, with a line feed between them: what they are taken for, each
/// function below says.
pub fn listing(input: &[u8]) {
    let mut fields = input.splitn(3, |&b| b == b'\n');
    let mut field = || fields.next().unwrap_or_default();
    let (first, second, third) = (field(), field(), field());
    path(second, first, third);
    pattern(first, third);
    options(first);
    facts(first);
    addresses(first);
    date(first, second);
    lines(first, second, third);
    heading(first);
}

/// An argument in a working directory leads where the reference says: to a normal path below
/// the account's root.
fn path(root: &[u8], directory: &[u8], argument: &[u8]) {
    let root = Path::new(root).unwrap_or(Path::ROOT);
    let mut working = PathBuf::<PATH_MAX>::default();
    if working.enter(root).is_err() {
        return;
    }
    let home = working.clone();
    if working.resolve(&home, directory).is_err() {
        working.clone_from(&home);
    }
    let mut path = home.clone();
    let result = path.resolve(&working, argument);
    assert!(path.as_path().is_within(root), "it leads out of the root");
    let expected = resolved(root, working.seen(), argument);
    assert_eq!(result.map(|()| path.seen().as_bytes()), expected.as_deref().map_err(|&e| e));
    if result.is_ok() {
        let front = if root.is_root() { b"" } else { root.as_bytes() };
        let below = if path.seen().is_root() { b"" } else { path.seen().as_bytes() };
        let whole = [front, below].concat();
        assert_eq!(path.as_path(), Path::new(&whole).unwrap_or(Path::ROOT));
        let mut again = home.clone();
        assert_eq!(again.resolve(&path, b"."), Ok(()));
        assert_eq!(again.as_path(), path.as_path(), "where it is");
        assert_eq!(again.resolve(&working, path.seen().as_bytes()), Ok(()));
        assert_eq!(again.as_path(), path.as_path(), "by its own name");
    }
}

/// The path with its names kept apart: what is not there cannot be ascended from.
fn resolved(root: Path<'_>, working: Path<'_>, argument: &[u8]) -> Result<Vec<u8>, PathError> {
    if argument.iter().any(|&byte| byte < b' ' || byte == 0x7f) {
        return Err(PathError::Character);
    }
    let mut names: Vec<&[u8]> = working.components().collect();
    if argument.first() == Some(&b'/') {
        names.clear();
    }
    let length = |names: &[&[u8]]| names.iter().map(|name| 1 + name.len()).sum::<usize>();
    let room = PATH_MAX - length(&root.components().collect::<Vec<_>>());
    for name in argument.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
        if length(&names) > room {
            return Err(PathError::TooLong);
        }
    }
    Ok([b"/", &names.join(&b'/')[..]].concat())
}

/// A name matches a pattern if it does so for the reference, which tries everything.
fn pattern(pattern: &[u8], name: &[u8]) {
    let hidden = name.first() == Some(&b'.') && pattern.first() != Some(&b'.');
    let expected = !hidden && matches(&pieces(pattern), name);
    assert_eq!(glob::matches(pattern, name), expected);
    if !glob::is_pattern(pattern) {
        assert_eq!(expected, pattern == name && !hidden, "no pattern, but a name");
    }
}

/// A piece of a pattern: which bytes it is one of, or `None` for any number of any bytes.
type Piece = Option<[bool; 256]>;

fn pieces(pattern: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        let mut set = [byte == b'?'; 256];
        let inside = usize::from(matches!(pattern.get(at + 1), Some(b'!' | b'^'))) + at + 1;
        let end = (inside + 1..pattern.len()).find(|&end| pattern[end] == b']');
        match (byte, end) {
            (b'*', _) => {
                pieces.push(None);
                at += 1;
                continue;
            }
            (b'[', Some(end)) => {
                members(&pattern[inside..end], &mut set);
                if inside > at + 1 {
                    set = set.map(|member| !member);
                }
                at = end;
            }
            _ => set[usize::from(byte)] = true,
        }
        pieces.push(Some(set));
        at += 1;
    }
    pieces
}

/// The bytes of a class, without its brackets.
fn members(class: &[u8], set: &mut [bool; 256]) {
    let mut at = 0;
    while at < class.len() {
        let is_range = at + 2 < class.len() && class[at + 1] == b'-';
        let last = if is_range { at + 2 } else { at };
        for byte in class[at]..=class[last] {
            set[usize::from(byte)] = true;
        }
        at = last + 1;
    }
}

/// For each piece in turn, which beginnings of the name match the pieces up to it.
fn matches(pieces: &[Piece], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match piece {
                None => reached[at] || (at > 0 && next[at - 1]),
                Some(set) => at > 0 && reached[at - 1] && set[usize::from(name[at - 1])],
            };
        }
        reached = next;
    }
    reached[name.len()]
}

/// The path is the end of the argument; in front of it are options, which ask for what their
/// letters say.
fn options(argument: &[u8]) {
    let (options, path) = Options::parse(argument);
    let front = argument.strip_suffix(path).expect("the path is the end of the argument");
    let words = front.split(|&b| b == b' ').map(<[u8]>::trim_ascii_start);
    let words = || words.clone().filter(|word| !word.is_empty());
    assert!(words().all(|word| word.starts_with(b"-") && word != b"-"), "a path for an option");
    let ended = words().any(|word| word == b"--");
    let is_option = path.len() > 1 && path.starts_with(b"-") && !path.starts_with(b"- ");
    assert!(ended || !is_option, "an option for a path");
    let letters: Vec<u8> =
        words().filter(|word| !word.starts_with(b"--")).flatten().copied().collect();
    let asked = |letter: u8| letters.contains(&letter);
    let by = match letters.iter().rfind(|letter| matches!(letter, b't' | b'S')) {
        Some(b't') => By::Date,
        Some(_) => By::Size,
        None => By::Name,
    };
    let order = Order { by, reverse: asked(b'r') };
    let (recursive, itself, long) = (asked(b'R'), asked(b'd'), asked(b'l'));
    assert_eq!(options, Options { order, recursive, itself, long });
}

/// A choice of facts comes back the same from what the client is told of it.
fn facts(argument: &[u8]) {
    let chosen = Facts::parse(argument);
    let told = format!("{chosen}");
    assert_eq!(Facts::parse(told.trim_start().as_bytes()), chosen);
    let mut feature = String::new();
    chosen.write_feature(&mut feature).expect("it is written to memory");
    let starred = feature.split(';').filter_map(|fact| fact.strip_suffix('*'));
    let starred: Vec<&str> = starred.collect();
    assert_eq!(Facts::parse(starred.join(";").as_bytes()), chosen);
}

/// A date on the wire is the date that it is printed as, and any date can be read back.
fn date(text: &[u8], number: &[u8]) {
    if let Some(date) = time_val(text) {
        assert_eq!(format!("{}", TimeVal(date)).as_bytes(), &text[..14]);
    }
    let date = Timestamp(bytes(number));
    let printed = format!("{}", TimeVal(date));
    assert_eq!(printed.len(), 14, "RFC 3659 section 2.3");
    let read = time_val(printed.as_bytes()).expect("a date");
    assert!(read == date || date > read, "{printed} for {date:?}");
    assert_eq!(format!("{}", TimeVal(read)), printed);
}

/// Each format makes one line of an entry, and shows what the entry is.
fn lines(directory: &[u8], numbers: &[u8], name: &[u8]) {
    let entry = entry(numbers, name);
    let now = Timestamp(bytes(numbers.get(8..).unwrap_or_default()));
    let line = |format: Format| format.line(directory, &entry, now);
    let shown = if name.is_empty() { b"/".to_vec() } else { shown(name) };
    let fits = name.len() + directory.len() < 700;
    let (long, short) = (line(Format::Long), line(Format::Names));
    assert!(!fits || long.is_some() && short.is_some());
    if let Some(line) = long {
        columns(in_front_of(&shown, &line), &entry);
    }
    if let Some(line) = short {
        let prefix = in_front_of(&shown, &line);
        assert_eq!(prefix.is_empty(), directory.is_empty() || name.is_empty());
        assert!(prefix.is_empty() || prefix.ends_with(b"/"));
    }
    let rights = if entry.id & 1 == 0 { Rights::ALL } else { Rights::READ_ONLY };
    for chosen in [Facts::ALL, Facts::parse(directory)] {
        if let Some(line) = line(Format::Machine(chosen, rights)) {
            told(in_front_of(&shown, &line), chosen, &entry);
        }
    }
}

/// A name with its control characters as a line shows them.
fn shown(name: &[u8]) -> Vec<u8> {
    name.iter().map(|&byte| if byte.is_ascii_control() { b'?' } else { byte }).collect()
}

/// What stands in front of a directory in LIST -R cannot be taken for an entry.
fn heading(directory: &[u8]) {
    if let Some(heading) = list::heading(directory) {
        let line = heading.strip_prefix(b"\r\n").expect("an empty line");
        let front = in_front_of(&[&shown(directory)[..], b":"].concat(), line);
        let is_absolute = directory.starts_with(b"/");
        assert!(is_absolute && front.is_empty() || !is_absolute && front.starts_with(b"./"));
    }
}

/// What is in front of the name, in a line that ends as a line does and nowhere else.
fn in_front_of<'l>(name: &[u8], line: &'l [u8]) -> &'l [u8] {
    let line = line.strip_suffix(b"\r\n").expect("CRLF");
    assert!(!line.iter().any(u8::is_ascii_control), "a control character in {line:?}");
    line.strip_suffix(name).expect("the name")
}

/// The columns that clients parse.
fn columns(text: &[u8], entry: &Entry<'_>) {
    let text = core::str::from_utf8(text).expect("columns");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [mode, "1", "owner", "group", size, ..] = words[..] else { panic!("{text}") };
    assert_eq!((mode.len(), words.len()), (10, 8), "{text}");
    assert_eq!(mode.starts_with('d'), entry.kind == Kind::Directory);
    assert_eq!(size.parse(), Ok(entry.size));
}

/// RFC 3659 section 7.2: facts, each with its end, and a space behind the last.
fn told(text: &[u8], chosen: Facts, entry: &Entry<'_>) {
    let text = core::str::from_utf8(text).expect("facts");
    let told = text.strip_suffix(' ').expect("a space");
    assert!(told.is_empty() || told.ends_with(';'), "{text}");
    let chosen = format!("{chosen}");
    for fact in told.split_terminator(';') {
        let (name, value) = fact.split_once('=').expect("a fact and its value");
        match name {
            "size" => assert_eq!(value.parse(), Ok(entry.size)),
            "unique" => assert_eq!(u64::from_str_radix(value, 16), Ok(entry.id)),
            "modify" => assert_eq!(value, format!("{}", TimeVal(entry.modified))),
            "UNIX.mode" => assert_eq!(u16::from_str_radix(value, 8).ok(), entry.mode),
            _ => assert!(matches!(name, "type" | "perm"), "{text}"),
        }
        assert!(chosen.contains(&format!("{name};")), "{text} of {chosen}");
    }
}

fn entry<'a>(numbers: &[u8], name: &'a [u8]) -> Entry<'a> {
    let from = |at: usize| numbers.get(at..).unwrap_or_default();
    let (kind, mode) = (bytes(from(24)) >> 56, bytes(from(25)) >> 48);
    Entry {
        name,
        kind: [Kind::File, Kind::Directory, Kind::Link, Kind::Other][(kind % 4) as usize],
        size: bytes(from(16)),
        modified: Timestamp(bytes(numbers)),
        mode: (mode <= 0o777).then_some(mode as u16),
        id: bytes(from(27)),
    }
}

/// The number that the first eight bytes are.
fn bytes(field: &[u8]) -> u64 {
    (0..8).fold(0, |value, at| value << 8 | u64::from(*field.get(at).unwrap_or(&0)))
}
