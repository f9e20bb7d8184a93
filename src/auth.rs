//! Who may log in, and what they may do.

use core::ops::BitOr;
use core::task::Poll;

use subtle::ConstantTimeEq;

/// What an account may do. Combine with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Nothing but looking at replies.
    pub const NONE: Self = Self(0);
    /// Fetch files.
    pub const READ: Self = Self(1);
    /// List directories and ask for the facts of a file.
    pub const LIST: Self = Self(1 << 1);
    /// Store files, new or in place of old ones.
    pub const WRITE: Self = Self(1 << 2);
    /// Append to files.
    pub const APPEND: Self = Self(1 << 3);
    /// Delete files and directories.
    pub const DELETE: Self = Self(1 << 4);
    /// Rename files and directories.
    pub const RENAME: Self = Self(1 << 5);
    /// Make directories.
    pub const MAKE_DIRECTORY: Self = Self(1 << 6);
    /// Look, but do not touch.
    pub const READ_ONLY: Self = Self(Self::READ.0 | Self::LIST.0);
    /// Everything.
    pub const ALL: Self = Self(0x7f);

    /// Whether all of `needed` is granted.
    pub const fn contains(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The user name or password is wrong; which of them is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

/// Checks a user name and a password.
pub trait Authenticator {
    /// The rights of `user`, if `password` is theirs. `Pending`: ask again next turn, with
    /// the same arguments; an expensive hash runs elsewhere meanwhile.
    fn poll_login(&mut self, user: &[u8], password: &[u8]) -> Poll<Result<Rights, Denied>>;
}

/// An account with a name and a password.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// The name, compared byte by byte.
    pub user: &'a str,
    /// The password, in the clear.
    pub password: &'a str,
    /// What the account may do.
    pub rights: Rights,
}

/// A fixed list of accounts, and perhaps the anonymous one (RFC 1635).
#[derive(Clone, Copy)]
pub struct Accounts<'a> {
    /// The named accounts.
    pub accounts: &'a [Account<'a>],
    /// What `anonymous` (or `ftp`) may do, with any password; `None` keeps them out.
    pub anonymous: Option<Rights>,
}

impl Authenticator for Accounts<'_> {
    fn poll_login(&mut self, user: &[u8], password: &[u8]) -> Poll<Result<Rights, Denied>> {
        Poll::Ready(self.login(user, password).ok_or(Denied))
    }
}

impl Accounts<'_> {
    /// Compares with every account in constant time, so that the time taken does not tell
    /// which names exist or how much of a password was right.
    fn login(&self, user: &[u8], password: &[u8]) -> Option<Rights> {
        let mut rights = None;
        for account in self.accounts {
            let same =
                account.user.as_bytes().ct_eq(user) & account.password.as_bytes().ct_eq(password);
            if bool::from(same) {
                rights = Some(account.rights);
            }
        }
        rights.or_else(|| self.anonymous.filter(|_| is_anonymous(user)))
    }
}

/// Whether `user` is one of the names of the anonymous account (RFC 1635 section 2).
fn is_anonymous(user: &[u8]) -> bool {
    user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let list = [
            Account { user: "anna", password: "secret", rights: Rights::ALL },
            Account { user: "ftp", password: "own", rights: Rights::READ },
        ];
        let accounts = Accounts { accounts: &list, anonymous: Some(Rights::READ_ONLY) };
        assert_eq!(accounts.login(b"anna", b"secret"), Some(Rights::ALL));
        assert_eq!(accounts.login(b"anna", b"Secret"), None);
        assert_eq!(accounts.login(b"anna", b""), None);
        assert_eq!(accounts.login(b"ftp", b"own"), Some(Rights::READ));
        assert_eq!(accounts.login(b"Anonymous", b"me@example.org"), Some(Rights::READ_ONLY));
        assert_eq!(Accounts { anonymous: None, ..accounts }.login(b"anonymous", b""), None);
    }
}
