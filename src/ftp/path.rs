//! From a pathname argument to a normal path: here the jail is kept.

use heapless::Vec;

use crate::storage::Path;

/// Why an argument names no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathError {
    /// It has a control character, which no listing could show.
    Character,
    /// It is longer than the buffer once it is made absolute.
    TooLong,
}

/// A [`Path`] of at most `N` bytes, owned: the account's root, and what it sees below that.
#[derive(Clone, Debug)]
pub(super) struct PathBuf<const N: usize> {
    bytes: Vec<u8, N>,
    /// Bytes of the account's root in front; none if that is the root of the storage.
    root: usize,
}

impl<const N: usize> Default for PathBuf<N> {
    fn default() -> Self {
        let mut path = Self { bytes: Vec::new(), root: 0 };
        path.reset();
        path
    }
}

impl<const N: usize> PathBuf<N> {
    /// Makes it the directory that an account has as its root.
    pub fn enter(&mut self, root: Path<'_>) -> Result<(), PathError> {
        *self = Self::default();
        if !root.is_root() {
            self.bytes.clear();
            self.bytes.extend_from_slice(root.as_bytes()).map_err(|_| PathError::TooLong)?;
            self.root = self.bytes.len();
        }
        Ok(())
    }

    /// Makes it the root directory, as the account has it.
    pub fn reset(&mut self) {
        self.bytes.truncate(self.root);
        if self.bytes.is_empty() {
            // Cannot fail: a path buffer without room for "/" is no configuration.
            let _ = self.bytes.push(b'/');
        }
    }

    /// The path, as storage has it; the account's root is its jail.
    pub fn as_path(&self) -> Path<'_> {
        let path = Path::new(&self.bytes).unwrap_or(Path::ROOT);
        match self.bytes.get(..self.root).and_then(Path::new) {
            Some(jail) => path.in_jail(jail),
            None => path,
        }
    }

    /// The path, as the account sees it.
    pub fn seen(&self) -> Path<'_> {
        self.bytes.get(self.root..).and_then(Path::new).unwrap_or(Path::ROOT)
    }

    /// Makes it the path that `argument` means when `directory` is the working directory.
    /// `..` at the root stays at the root. A backslash is a character like any other.
    pub fn resolve(&mut self, directory: &Self, argument: &[u8]) -> Result<(), PathError> {
        if argument.iter().any(u8::is_ascii_control) {
            return Err(PathError::Character);
        }
        self.clone_from(directory);
        if argument.starts_with(b"/") {
            self.reset();
        }
        for name in argument.split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => self.ascend(),
                name => self.descend(name)?,
            }
        }
        Ok(())
    }

    /// Makes it the directory that it is in; the root stays the root.
    pub fn ascend(&mut self) {
        let slash = self.bytes.iter().rposition(|&b| b == b'/').unwrap_or(0);
        self.bytes.truncate(slash.max(self.root));
        if self.bytes.is_empty() {
            self.reset();
        }
    }

    /// Makes it something in the directory that it is; without room for that it stays.
    pub fn descend(&mut self, name: &[u8]) -> Result<(), PathError> {
        let separator: &[u8] = if self.as_path().is_root() { b"" } else { b"/" };
        if self.bytes.capacity() - self.bytes.len() < separator.len() + name.len() {
            return Err(PathError::TooLong);
        }
        // There is room.
        let _ = self.bytes.extend_from_slice(separator);
        let _ = self.bytes.extend_from_slice(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(directory: &str, argument: &[u8]) -> Result<std::string::String, PathError> {
        let (mut base, mut path) = (PathBuf::<32>::default(), PathBuf::<32>::default());
        base.resolve(&PathBuf::default(), directory.as_bytes()).unwrap();
        path.resolve(&base, argument)?;
        Ok(std::string::String::from_utf8(path.as_path().as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn arguments() {
        for (directory, argument, path) in [
            ("/", "a", "/a"),
            ("/", "/", "/"),
            ("/", "", "/"),
            ("/a", "b", "/a/b"),
            ("/a", "/b", "/b"),
            ("/a/b", "..", "/a"),
            ("/a", "..", "/"),
            ("/a/b", "../c/./d//", "/a/c/d"),
            ("/a", " b ", "/a/ b "),
            ("/a", "b\\..\\c", "/a/b\\..\\c"),
            ("/a", "...", "/a/..."),
        ] {
            assert_eq!(resolve(directory, argument.as_bytes()).unwrap(), path, "{argument}");
        }
    }

    #[test]
    fn nothing_leads_above_the_root() {
        for argument in ["..", "../..", "/..", "/../../etc", "..//..", "a/../../..", "/./.."] {
            let path = resolve("/", argument.as_bytes()).unwrap();
            assert!(path == "/" || path == "/etc", "{argument} became {path}");
        }
    }

    #[test]
    fn an_account_stays_below_its_root() {
        let (mut base, mut path) = (PathBuf::<32>::default(), PathBuf::<32>::default());
        base.enter(Path::new(b"/home/anna").unwrap()).unwrap();
        assert_eq!(base.seen(), Path::ROOT);
        for (argument, storage, seen) in [
            ("a/b", "/home/anna/a/b", "/a/b"),
            ("/a", "/home/anna/a", "/a"),
            ("/", "/home/anna", "/"),
            ("a/..", "/home/anna", "/"),
            ("../../otto", "/home/anna/otto", "/otto"),
            ("/../x", "/home/anna/x", "/x"),
        ] {
            path.resolve(&base, argument.as_bytes()).unwrap();
            assert_eq!(path.as_path().as_bytes(), storage.as_bytes(), "{argument}");
            assert_eq!(path.seen().as_bytes(), seen.as_bytes(), "{argument}");
        }
        path.ascend();
        path.ascend();
        assert_eq!(path.as_path().as_bytes(), b"/home/anna");
        assert_eq!(base.enter(Path::new(&[b'/'; 1]).unwrap()), Ok(()));
        assert_eq!(
            base.enter(Path::new(&[&b"/"[..], &[b'a'; 32]].concat()).unwrap()),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn down_as_far_as_there_is_room() {
        let mut path = PathBuf::<8>::default();
        assert_eq!(path.descend(b"abc"), Ok(()));
        assert_eq!(path.descend(b"1234"), Err(PathError::TooLong));
        assert_eq!(path.as_path().as_bytes(), b"/abc");
        assert_eq!(path.descend(b"123"), Ok(()));
        assert_eq!(path.descend(b""), Err(PathError::TooLong));
        assert_eq!(path.as_path().as_bytes(), b"/abc/123");
    }

    #[test]
    fn what_names_no_path() {
        for argument in [&b"a\0b"[..], b"a\rb", b"\x1b[2J", b"\x7f"] {
            assert_eq!(resolve("/", argument), Err(PathError::Character));
        }
        assert_eq!(resolve("/", &[b'a'; 32]), Err(PathError::TooLong));
        assert!(resolve("/", &[b'a'; 31]).is_ok());
        assert_eq!(resolve("/0123456789", &[b'a'; 21]), Err(PathError::TooLong));
    }
}
