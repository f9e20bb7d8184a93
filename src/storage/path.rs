//! Normal paths: the only kind that a storage is given.

/// An absolute path in normal form: it begins with `/`, and no component is empty, `.` or
/// `..`, or contains a NUL. So joining it below any root stays below that root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// The root directory.
    pub const ROOT: Path<'static> = Path(b"/");

    /// `bytes` as a path, if they are in normal form.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes == b"/" {
            return Some(Path(bytes));
        }
        let rest = bytes.strip_prefix(b"/")?;
        rest.split(|&b| b == b'/').all(is_normal).then_some(Path(bytes))
    }

    /// The bytes, the leading `/` included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether this is the root directory.
    pub fn is_root(self) -> bool {
        self.0 == b"/"
    }

    /// The names from the root down; none for the root itself.
    pub fn components(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// The directory that the path is in, and its name there; `None` for the root.
    pub fn parent(self) -> Option<(Path<'a>, &'a [u8])> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        let (directory, name) = (self.0.get(..slash)?, self.0.get(slash + 1..)?);
        match (directory, name) {
            (_, []) => None,
            ([], _) => Some((Path(b"/"), name)),
            _ => Some((Path(directory), name)),
        }
    }

    /// Whether this path is `other` or lies below it.
    pub fn is_within(self, other: Path<'_>) -> bool {
        other.is_root()
            || self.0.strip_prefix(other.0).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
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
    fn within() {
        let path = |path: &'static str| Path::new(path.as_bytes()).unwrap();
        assert!(path("/a/b").is_within(path("/a")));
        assert!(path("/a").is_within(path("/a")));
        assert!(path("/a").is_within(Path::ROOT));
        assert!(!path("/ab").is_within(path("/a")));
    }
}
