//! Who may log in, and what they may do.

use core::fmt;
use core::ops::BitOr;
use core::task::Poll;

use subtle::ConstantTimeEq;

use crate::storage::Path;

/// Bytes of the longest [`Grant::welcome`], with six for each line: lines beyond are not told.
pub const WELCOME_MAX: usize = 400;

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
    /// See who else is connected (SITE WHO, SITE NETSTAT). [`ALL`](Self::ALL) does not have it.
    pub const INSPECT: Self = Self(1 << 7);
    /// Look, but do not touch.
    pub const READ_ONLY: Self = Self(Self::READ.0 | Self::LIST.0);
    /// Everything with files.
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

/// Which account somebody is logged in to: a number of the authenticator's choice.
pub type AccountId = usize;

/// What an account gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// What it may do.
    pub rights: Rights,
    /// The directory that it sees as `/`. Nothing leads out of it.
    pub root: Path<'a>,
    /// Lines to greet it with after login, of [`WELCOME_MAX`] bytes in all; empty for none.
    pub welcome: &'a str,
    /// Bytes that one upload may bring; `None`: what the server allows to all.
    pub max_upload: Option<u64>,
    /// Bytes a second, from 1, that each of its sessions may move; `None`: what the server allows to all.
    pub rate: Option<u64>,
}

impl Grant<'_> {
    /// These rights in the whole storage, without words.
    pub const fn new(rights: Rights) -> Self {
        Self { rights, root: Path::ROOT, welcome: "", max_upload: None, rate: None }
    }
}

/// Why nobody was logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The user name or the password is wrong; which of them is not told.
    Incorrect,
    /// The account has as many sessions as it may have.
    TooManySessions,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Incorrect => "user name or password is wrong",
            Denied::TooManySessions => "the account has too many sessions",
        })
    }
}

/// Checks a user name and a password.
pub trait Authenticator {
    /// The account of `user` and what it gets, if `password` is theirs. `Pending`: ask again
    /// next turn, with the same arguments; an expensive hash runs elsewhere meanwhile. A session
    /// that ends before it is `Ready` does not ask again.
    fn poll_login(
        &mut self,
        user: &[u8],
        password: &[u8],
    ) -> Poll<Result<(AccountId, Grant<'_>), Denied>>;

    /// A session that was logged in to `account` is so no longer. Each login that was granted
    /// is followed by one of these.
    fn logout(&mut self, _account: AccountId) {}
}

/// An account with a name and a password.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// The name, compared byte by byte.
    pub user: &'a str,
    /// The password, in the clear.
    pub password: &'a str,
    /// What the account gets.
    pub grant: Grant<'a>,
    /// Sessions that it may have at once; one more login gets 530.
    pub max_sessions: usize,
    /// Sessions that it has.
    sessions: usize,
}

impl<'a> Account<'a> {
    /// An account that may have any number of sessions.
    pub const fn new(user: &'a str, password: &'a str, grant: Grant<'a>) -> Self {
        Self { user, password, grant, max_sessions: usize::MAX, sessions: 0 }
    }

    /// The account of `anonymous` and `ftp` (RFC 1635), which any password opens.
    pub const fn anonymous(grant: Grant<'a>) -> Self {
        Self::new("anonymous", "", grant)
    }
}

/// A fixed list of accounts, and perhaps the anonymous one.
pub struct Accounts<'a> {
    /// The named accounts.
    pub accounts: &'a mut [Account<'a>],
    /// What `anonymous` (or `ftp`) gets, with any password; `None` keeps them out.
    pub anonymous: Option<Account<'a>>,
}

impl Authenticator for Accounts<'_> {
    fn poll_login(
        &mut self,
        user: &[u8],
        password: &[u8],
    ) -> Poll<Result<(AccountId, Grant<'_>), Denied>> {
        Poll::Ready(self.login(user, password))
    }

    fn logout(&mut self, id: AccountId) {
        if let Some(account) = self.account(id) {
            account.sessions = account.sessions.saturating_sub(1);
        }
    }
}

impl<'a> Accounts<'a> {
    fn login(&mut self, user: &[u8], password: &[u8]) -> Result<(AccountId, Grant<'_>), Denied> {
        let id = self.find(user, password).ok_or(Denied::Incorrect)?;
        let account = self.account(id).ok_or(Denied::Incorrect)?;
        if account.sessions >= account.max_sessions {
            return Err(Denied::TooManySessions);
        }
        account.sessions += 1;
        Ok((id, account.grant))
    }

    /// Compares with every account in constant time, so that the time taken does not tell
    /// which names exist or how much of a password was right.
    fn find(&self, user: &[u8], password: &[u8]) -> Option<AccountId> {
        let mut found = None;
        for (id, account) in self.accounts.iter().enumerate() {
            let same =
                account.user.as_bytes().ct_eq(user) & account.password.as_bytes().ct_eq(password);
            if bool::from(same) {
                found = Some(id);
            }
        }
        let anonymous = self.anonymous.is_some() && is_anonymous(user);
        found.or_else(|| anonymous.then_some(self.accounts.len()))
    }

    /// The anonymous account comes behind the named ones.
    fn account(&mut self, id: AccountId) -> Option<&mut Account<'a>> {
        self.accounts.iter_mut().chain(&mut self.anonymous).nth(id)
    }
}

/// Whether `user` is one of the names of the anonymous account (RFC 1635 section 2).
fn is_anonymous(user: &[u8]) -> bool {
    user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Grant<'static> = Grant::new(Rights::ALL);
    const READ: Grant<'static> = Grant::new(Rights::READ);
    const READ_ONLY: Grant<'static> = Grant::new(Rights::READ_ONLY);

    #[test]
    fn accounts() {
        let mut list = [Account::new("anna", "secret", ALL), Account::new("ftp", "own", READ)];
        let anonymous = Some(Account::anonymous(READ_ONLY));
        let mut accounts = Accounts { accounts: &mut list, anonymous };
        assert_eq!(accounts.login(b"anna", b"secret"), Ok((0, ALL)));
        assert_eq!(accounts.login(b"anna", b"Secret"), Err(Denied::Incorrect));
        assert_eq!(accounts.login(b"anna", b""), Err(Denied::Incorrect));
        assert_eq!(accounts.login(b"ftp", b"own"), Ok((1, READ)));
        assert_eq!(accounts.login(b"Anonymous", b"me@example.org"), Ok((2, READ_ONLY)));
        accounts.anonymous = None;
        assert_eq!(accounts.login(b"anonymous", b""), Err(Denied::Incorrect));
    }

    #[test]
    fn an_account_has_so_many_sessions() {
        let mut list = [Account { max_sessions: 2, ..Account::new("anna", "secret", ALL) }];
        let anonymous = Some(Account { max_sessions: 1, ..Account::anonymous(READ) });
        let mut accounts = Accounts { accounts: &mut list, anonymous };
        for (id, user, max) in [(0, "anna", 2), (1, "ftp", 1)] {
            let user = user.as_bytes();
            for _ in 0..max {
                assert!(accounts.login(user, b"secret").is_ok());
            }
            assert_eq!(accounts.login(user, b"secret"), Err(Denied::TooManySessions));
            accounts.logout(id);
            assert!(accounts.login(user, b"secret").is_ok());
        }
        assert_eq!(accounts.login(b"anna", b"wrong"), Err(Denied::Incorrect));
    }
}
