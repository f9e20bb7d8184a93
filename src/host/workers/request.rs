//! An operation that outlives the paths it was asked for with.

use tinyftp::storage::{Op, Path};
use tinyftp::time::Timestamp;

/// An operation with paths of its own.
pub struct Request {
    /// The operation, but for its paths.
    op: Op<'static>,
    path: OwnedPath,
    /// Where it is renamed to.
    to: OwnedPath,
    /// After which name the directories are wanted.
    after: Vec<u8>,
    pub now: Timestamp,
}

struct OwnedPath {
    bytes: Vec<u8>,
    jail: Vec<u8>,
}

impl Request {
    pub fn of(op: Op<'_>, now: Timestamp) -> Self {
        let (path, to) = paths(op);
        let after = if let Op::Directories { after, .. } = op { after } else { b"" };
        Self {
            op: with_paths(op, Path::ROOT, Path::ROOT, b""),
            path: OwnedPath::of(path),
            to: OwnedPath::of(to),
            after: after.to_vec(),
            now,
        }
    }

    pub fn op(&self) -> Op<'_> {
        with_paths(self.op, self.path.as_path(), self.to.as_path(), &self.after)
    }
}

impl OwnedPath {
    fn of(path: Path<'_>) -> Self {
        Self { bytes: path.as_bytes().to_vec(), jail: path.jail().as_bytes().to_vec() }
    }

    fn as_path(&self) -> Path<'_> {
        let path = Path::new(&self.bytes).unwrap_or(Path::ROOT);
        path.in_jail(Path::new(&self.jail).unwrap_or(Path::ROOT))
    }
}

/// The path that an operation is about, and the one that it is renamed to.
fn paths(op: Op<'_>) -> (Path<'_>, Path<'_>) {
    match op {
        Op::Rename { from, to, .. } => (from, to),
        Op::Read { path, .. }
        | Op::Write { path, .. }
        | Op::List { path, .. }
        | Op::Directories { path, .. }
        | Op::Stat { path }
        | Op::MakeDirectory { path, .. }
        | Op::RemoveDirectory { path }
        | Op::Delete { path }
        | Op::SetModified { path, .. }
        | Op::Available { path }
        | Op::SetMode { path, .. } => (path, Path::ROOT),
    }
}

/// The same operation with other paths.
fn with_paths<'p>(op: Op<'_>, path: Path<'p>, to: Path<'p>, after: &'p [u8]) -> Op<'p> {
    match op {
        Op::Read { offset, .. } => Op::Read { path, offset },
        Op::Write { keep, mode, .. } => Op::Write { path, keep, mode },
        Op::List { order, .. } => Op::List { path, order },
        Op::Directories { .. } => Op::Directories { path, after },
        Op::Stat { .. } => Op::Stat { path },
        Op::MakeDirectory { mode, .. } => Op::MakeDirectory { path, mode },
        Op::RemoveDirectory { .. } => Op::RemoveDirectory { path },
        Op::Delete { .. } => Op::Delete { path },
        Op::Rename { replace, .. } => Op::Rename { from: path, to, replace },
        Op::SetModified { modified, .. } => Op::SetModified { path, modified },
        Op::Available { .. } => Op::Available { path },
        Op::SetMode { mode, .. } => Op::SetMode { path, mode },
    }
}

#[cfg(test)]
mod tests {
    use tinyftp::storage::{Keep, Order};

    use super::*;

    #[test]
    fn an_operation_stays_what_it_is() {
        let at = |text: &'static str| Path::new(text.as_bytes()).unwrap();
        let (path, to) = (at("/jail/a").in_jail(at("/jail")), at("/b"));
        for op in [
            Op::Read { path, offset: 7 },
            Op::Write { path, keep: Keep::Bytes(3), mode: 0o640 },
            Op::List { path, order: Order::NAME },
            Op::Directories { path, after: b"c" },
            Op::Stat { path },
            Op::MakeDirectory { path, mode: 0o750 },
            Op::RemoveDirectory { path },
            Op::Delete { path },
            Op::Rename { from: path, to, replace: false },
            Op::SetModified { path, modified: Timestamp(9) },
            Op::Available { path },
            Op::SetMode { path, mode: 0o600 },
        ] {
            let request = Request::of(op, Timestamp(1));
            assert_eq!(request.op(), op);
            assert_eq!(paths(request.op()).0.jail(), at("/jail"), "{op:?}");
        }
    }
}
