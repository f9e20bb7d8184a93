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

/// A [`Path`] of at most `N` bytes, owned.
#[derive(Clone, Debug)]
pub(super) struct PathBuf<const N: usize>(Vec<u8, N>);

impl<const N: usize> Default for PathBuf<N> {
    fn default() -> Self {
        let mut root = Self(Vec::new());
        root.reset();
        root
    }
}

impl<const N: usize> PathBuf<N> {
    /// Makes it the root directory.
    pub fn reset(&mut self) {
        self.0.clear();
        // Cannot fail: a path buffer without room for "/" is no configuration.
        let _ = self.0.push(b'/');
    }

    /// The path.
    pub fn as_path(&self) -> Path<'_> {
        Path::new(&self.0).unwrap_or(Path::ROOT)
    }

    /// Makes it the path that `argument` means when `directory` is the working directory.
    /// `..` at the root stays at the root. A backslash is a character like any other.
    pub fn resolve(&mut self, directory: &Self, argument: &[u8]) -> Result<(), PathError> {
        if argument.iter().any(u8::is_ascii_control) {
            return Err(PathError::Character);
        }
        if argument.starts_with(b"/") {
            self.reset();
        } else {
            self.0.clone_from(&directory.0);
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
        let slash = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        self.0.truncate(slash.max(1));
    }

    fn descend(&mut self, name: &[u8]) -> Result<(), PathError> {
        if !self.as_path().is_root() {
            self.0.push(b'/').map_err(|_| PathError::TooLong)?;
        }
        self.0.extend_from_slice(name).map_err(|_| PathError::TooLong)
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
    fn what_names_no_path() {
        for argument in [&b"a\0b"[..], b"a\rb", b"\x1b[2J", b"\x7f"] {
            assert_eq!(resolve("/", argument), Err(PathError::Character));
        }
        assert_eq!(resolve("/", &[b'a'; 32]), Err(PathError::TooLong));
        assert!(resolve("/", &[b'a'; 31]).is_ok());
        assert_eq!(resolve("/0123456789", &[b'a'; 21]), Err(PathError::TooLong));
    }
}
