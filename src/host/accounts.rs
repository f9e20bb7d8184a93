//! Who may log in: from the command line, and from a file.

use std::fs::File as HostFile;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path as FilePath;

use serde::Deserialize;
use tinyftp::auth::{Account, Accounts, Grant, Rights, WELCOME_MAX};
use tinyftp::ftp::USER_MAX;
use tinyftp::storage::Path;

use super::size::Size;

/// The name of the account that any password opens.
const ANONYMOUS: &str = "anonymous";

/// Bytes of the longest root of an account: the paths below it need room too.
const ROOT_MAX: usize = 255;

/// Bytes of the largest file of accounts.
const FILE_MAX: u64 = 1 << 20;

/// Rights by name.
const RIGHTS: [(&str, Rights); 8] = [
    ("read", Rights::READ),
    ("list", Rights::LIST),
    ("write", Rights::WRITE),
    ("append", Rights::APPEND),
    ("delete", Rights::DELETE),
    ("rename", Rights::RENAME),
    ("mkdir", Rights::MAKE_DIRECTORY),
    ("inspect", Rights::INSPECT),
];

/// An account, as the file of `--accounts` has it. What it leaves out is that of the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    pub name: String,
    password: Option<Password>,
    #[serde(default)]
    rights: Allowed,
    root: Option<String>,
    #[serde(default)]
    welcome: String,
    max_sessions: Option<NonZeroUsize>,
    max_upload: Option<Size>,
    pub quota: Option<Size>,
    rate: Option<Size>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    account: Vec<User>,
}

/// A password: what is wrong with one is told without it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "toml::Value")]
struct Password(String);

impl TryFrom<toml::Value> for Password {
    type Error = &'static str;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        match value {
            toml::Value::String(password) if !password.is_empty() => Ok(Self(password)),
            _ => Err("a password is a text in quotes, and not an empty one"),
        }
    }
}

/// The rights of an account: those of a full one, unless it says others.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Words")]
struct Allowed(Rights);

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl Default for Allowed {
    fn default() -> Self {
        Self(Rights::ALL)
    }
}

impl TryFrom<Words> for Allowed {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        let words = match words {
            Words::One(word) if word == "ro" => return Ok(Self(Rights::READ_ONLY)),
            Words::One(word) if word == "rw" => return Ok(Self(Rights::ALL)),
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        };
        words.iter().try_fold(Rights::NONE, |all, word| Ok(all | right(word)?)).map(Self)
    }
}

fn right(name: &str) -> Result<Rights, String> {
    let found = RIGHTS.iter().find(|(known, _)| *known == name);
    found.map(|&(_, right)| right).ok_or_else(|| {
        let names = RIGHTS.map(|(known, _)| known).join(", ");
        format!("there is no right {name}: expected \"ro\", \"rw\", or some of {names}")
    })
}

impl User {
    /// The account of `--user NAME:PASSWORD[:ro|:rw]`.
    pub fn from_option(text: &str) -> Result<Self, String> {
        let expected = "expected NAME:PASSWORD, and :ro or :rw behind it if you like";
        let (name, rest) = text.split_once(':').ok_or(expected)?;
        let (password, rights) = match rest.rsplit_once(':') {
            Some((password, "ro")) => (password, Rights::READ_ONLY),
            Some((password, "rw")) => (password, Rights::ALL),
            _ => (rest, Rights::ALL),
        };
        if password.is_empty() {
            return Err(expected.into());
        }
        let (name, password) = (name.into(), Some(Password(password.into())));
        let user = Self { name, password, rights: Allowed(rights), ..Self::default() };
        user.check().map(|()| user)
    }

    /// The account that any password opens.
    pub fn anonymous(rights: Rights) -> Self {
        Self { name: ANONYMOUS.into(), rights: Allowed(rights), ..Self::default() }
    }

    /// What makes an account unusable.
    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() {
            return Err("an account needs a name".into());
        }
        if self.name.len() > USER_MAX {
            return Err(format!("a name has at most {USER_MAX} bytes"));
        }
        if self.name.chars().any(char::is_control) {
            return Err(format!("the name {:?} has a control character", self.name));
        }
        match (&self.password, self.is_anonymous()) {
            (None, false) => return Err(format!("{} needs a password", self.name)),
            (Some(_), true) => return Err(format!("{ANONYMOUS} has no password: any will do")),
            (Some(Password(password)), _) if password.contains(['\r', '\n', '\0']) => {
                return Err(format!("the password of {} has an end of line or a NUL", self.name));
            }
            _ => {}
        }
        if self.root().len() > ROOT_MAX {
            return Err(format!("the root of {} has more than {ROOT_MAX} bytes", self.name));
        }
        if self.root.as_ref().is_some_and(|root| Path::new(root.as_bytes()).is_none()) {
            let expected = "must begin with / and have no . or .. in it, such as /home/anna";
            return Err(format!("the root of {} {expected}", self.name));
        }
        // Each line goes out with a code and an end.
        let told: usize = self.welcome.lines().map(|line| line.len() + 6).sum();
        if told > WELCOME_MAX {
            return Err(format!("the welcome of {} is too long: {told} bytes", self.name));
        }
        Ok(())
    }

    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    pub fn rights(&self) -> Rights {
        self.rights.0
    }

    /// The directory that it sees as `/`.
    pub fn root(&self) -> &str {
        self.root.as_deref().unwrap_or("/")
    }

    /// For the rest of the program's life.
    fn leak(&self) -> Account<'static> {
        let leak = |text: &str| -> &'static str { text.to_owned().leak() };
        let grant = Grant {
            root: Path::new(leak(self.root()).as_bytes()).unwrap_or(Path::ROOT),
            welcome: leak(&self.welcome),
            max_upload: self.max_upload.map(|size| size.0),
            rate: self.rate.map(|size| size.0),
            ..Grant::new(self.rights())
        };
        let password = leak(self.password.as_ref().map_or("", |password| &password.0));
        let mut account = Account::new(leak(&self.name), password, grant);
        account.max_sessions = self.max_sessions.map_or(usize::MAX, NonZeroUsize::get);
        account
    }
}

/// Reads a file of accounts; what is wrong with it in one line, and never with a password.
pub fn read(path: &FilePath) -> Result<Vec<User>, String> {
    let text =
        read_text(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let users = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    // Without any account the server would be open to everybody, which nobody means by a file.
    if users.is_empty() {
        return Err(format!("{} has no [[account]]", path.display()));
    }
    Ok(users)
}

fn read_text(path: &FilePath) -> io::Result<String> {
    let mut bytes = Vec::new();
    HostFile::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not in UTF-8"))
}

fn parse(text: &str) -> Result<Vec<User>, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        format!("line {line}: {}", error.message().replace('\n', ", "))
    })?;
    file.account.iter().try_for_each(User::check)?;
    Ok(file.account)
}

/// Each name has one account.
pub fn check_names(users: &[User]) -> Result<(), String> {
    let mut names: Vec<_> = users.iter().map(|user| &user.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("there are two accounts of the name {}", pair[0])),
        None => Ok(()),
    }
}

/// All accounts, for the rest of the program's life.
pub fn accounts(users: &[User]) -> Accounts<'static> {
    let (anonymous, named): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.is_anonymous());
    let accounts: Vec<_> = named.into_iter().map(User::leak).collect();
    Accounts { accounts: accounts.leak(), anonymous: anonymous.first().map(|user| user.leak()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let user = |text: &str| User::from_option(text).map(|user| (user.password, user.rights.0));
        let with = |password: &str, rights| Ok((Some(Password(password.into())), rights));
        assert_eq!(user("anna:secret"), with("secret", Rights::ALL));
        assert_eq!(user("anna:secret:ro"), with("secret", Rights::READ_ONLY));
        assert_eq!(user("anna:secret:rw"), with("secret", Rights::ALL));
        assert_eq!(user("anna:secret:ro:rw"), with("secret:ro", Rights::ALL));
        assert_eq!(user("anna:se:cret"), with("se:cret", Rights::ALL));
        for bad in ["anna", ":secret", "anna:", "anna::ro", "anna::rw", "anonymous:x"] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_no_client_can_type() {
        for bad in ["an\nna:secret", "anna\x1b[2J:secret", "anna:sec\nret", "anna:s\r", "anna:\0s"]
        {
            let error = User::from_option(bad).unwrap_err();
            assert!(!error.contains(char::is_control) && !error.contains("sec"), "{error:?}");
        }
    }

    #[test]
    fn a_file_has_accounts_and_an_end() {
        let error = |path: &str| read(FilePath::new(path)).unwrap_err();
        assert_eq!(error("/dev/null"), "/dev/null has no [[account]]");
        assert_eq!(error("/dev/zero"), "/dev/zero cannot be read: it has more than 1048576 bytes");
    }

    #[test]
    fn a_file_of_accounts() {
        let users = parse(
            "[[account]]
             name = 'anna'
             password = 'secret'
             root = '/home/anna'
             rights = ['read', 'list', 'append']
             welcome = '''Hello
Anna'''
             max-sessions = 2
             max-upload = '10M'
             quota = 1000
             rate = '1M'
             [[account]]
             name = 'anonymous'
             rights = 'ro'",
        )
        .unwrap();
        let accounts = accounts(&users);
        let anna = accounts.accounts.first().unwrap();
        assert_eq!((anna.user, anna.password, anna.max_sessions), ("anna", "secret", 2));
        assert_eq!(
            anna.grant,
            Grant {
                rights: Rights::READ | Rights::LIST | Rights::APPEND,
                root: Path::new(b"/home/anna").unwrap(),
                welcome: "Hello\nAnna",
                max_upload: Some(10 << 20),
                rate: Some(1 << 20),
            }
        );
        assert_eq!(users[0].quota, Some(Size(1000)));
        assert_eq!(accounts.anonymous.unwrap().grant, Grant::new(Rights::READ_ONLY));
    }

    #[test]
    fn what_is_wrong_with_a_file_takes_a_line() {
        let error = |text: &str| {
            let text = format!("[[account]]\nname = 'a'\npassword = 'secret'\n{text}");
            parse(&text).unwrap_err()
        };
        for root in ["home", "/home/../a", "/./a", ""] {
            let error = error(&format!("root = '{root}'"));
            assert!(error.starts_with("the root of a must begin with /"), "{root}: {error}");
        }
        assert!(error("rights = ['raed']").starts_with("line 4: there is no right raed"));
        assert!(error("colour = 1").starts_with("line 4: unknown field `colour`"));
        assert!(error("quota = '1X'").starts_with("line 4: expected a number of bytes"));
        assert!(error("[[account]]\nname = 'b'").contains("b needs a password"));
        for text in ["password = 'x'", "name = 3", "rate = 0", "x", "max-sessions = 0"] {
            let error = error(text);
            assert!(!error.contains('\n') && !error.contains("secret"), "{error}");
        }
        for password in ["4711", "4711.5", "['4711']", "''", "4711x", "\"4711\\q\""] {
            let text = format!("[[account]]\nname = 'a'\npassword = {password}\n");
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with("line 3: ") && !error.contains("4711"), "{error}");
        }
        let twice = parse("[[account]]\nname = 'a'\npassword = 'b'\n".repeat(2).as_str()).unwrap();
        assert!(check_names(&twice).is_err());
    }
}
