//! Normal paths: the only kind that a storage is given.

/// An absolute path in normal form: it begins with `/`, and no component is empty, `.` or
/// `..`, or contains a NUL. So joining it below any root stays below that root.
///
/// A storage that has links, which may lead elsewhere, must see to it that none leads out of
/// the path's [`jail`](Self::jail).
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    bytes: &'a [u8],
    /// Bytes of the jail in front; none if that is the root.
    jail: usize,
}

/// The jail makes no difference.
impl PartialEq for Path<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Path<'_> {}

impl<'a> Path<'a> {
    /// The root directory.
    pub const ROOT: Path<'static> = Path { bytes: b"/", jail: 0 };

    /// `bytes` as a path, if they are in normal form. Its jail is the root.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes == b"/" {
            return Some(Path { bytes, jail: 0 });
        }
        let rest = bytes.strip_prefix(b"/")?;
        rest.split(|&b| b == b'/').all(is_normal).then_some(Path { bytes, jail: 0 })
    }

    /// The same path in a jail, which must be a directory that it is in.
    pub fn in_jail(self, jail: Path<'_>) -> Self {
        let jail = if jail.is_root() || !self.is_within(jail) { 0 } else { jail.bytes.len() };
        Self { jail, ..self }
    }

    /// The directory that the path is in and that no link may lead out of.
    pub fn jail(self) -> Path<'a> {
        self.bytes.get(..self.jail).and_then(Path::new).unwrap_or(Path::ROOT)
    }

    /// The bytes, the leading `/` included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether this is the root directory.
    pub fn is_root(self) -> bool {
        self.bytes == b"/"
    }

    /// The names from the root down; none for the root itself.
    pub fn components(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// The directory that the path is in, and its name there; `None` for the root.
    pub fn parent(self) -> Option<(Path<'a>, &'a [u8])> {
        let slash = self.bytes.iter().rposition(|&b| b == b'/')?;
        let (directory, name) = (self.bytes.get(..slash)?, self.bytes.get(slash + 1..)?);
        match (directory, name) {
            (_, []) => None,
            ([], _) => Some((Path::ROOT, name)),
            (bytes, _) => Some((Path { bytes, jail: self.jail.min(bytes.len()) }, name)),
        }
    }

    /// Whether this path is `other` or lies below it.
    pub fn is_within(self, other: Path<'_>) -> bool {
        other.is_root()
            || self
                .bytes
                .strip_prefix(other.bytes)
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

/// Whether `name` may be a component of a normal path.
fn is_normal(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_paths() {
        for good in ["/", "/a", "/a/b", "/...", "/a b/c\\d", "/.a"] {
            assert!(Path::new(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "a", "a/b", "//", "/a/", "/a//b", "/.", "/..", "/a/..", "/../a", "/a\0"] {
            assert!(Path::new(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn parents() {
        let parent = |path: &'static str| {
            let (directory, name) = Path::new(path.as_bytes())?.parent()?;
            Some((directory.as_bytes(), name))
        };
        assert_eq!(parent("/"), None);
        assert_eq!(parent("/a"), Some((&b"/"[..], &b"a"[..])));
        assert_eq!(parent("/a/b"), Some((&b"/a"[..], &b"b"[..])));
    }

    #[test]
    fn jails() {
        let path = |path: &'static str| Path::new(path.as_bytes()).unwrap();
        let jailed = path("/a/b/c").in_jail(path("/a"));
        assert_eq!(jailed.jail(), path("/a"));
        let (parent, _) = jailed.parent().unwrap();
        assert_eq!((parent, parent.jail()), (path("/a/b"), path("/a")));
        let (jail, _) = parent.parent().unwrap();
        assert_eq!((jail, jail.jail()), (path("/a"), path("/a")));
        let (above, _) = jail.parent().unwrap();
        assert_eq!((above, above.jail()), (Path::ROOT, Path::ROOT));
        for no_jail in ["/", "/b", "/a/bc", "/a/b/c/d"] {
            assert_eq!(path("/a/b/c").in_jail(path(no_jail)).jail(), Path::ROOT, "{no_jail}");
        }
        assert_eq!(jailed, path("/a/b/c"));
    }

    #[test]
    fn within() {
        let path = |path: &'static str| Path::new(path.as_bytes()).unwrap();
        assert!(path("/a/b").is_within(path("/a")));
        assert!(path("/a").is_within(path("/a")));
        assert!(path("/a").is_within(Path::ROOT));
        assert!(!path("/ab").is_within(path("/a")));
    }
}
