//! From a row of the table to what the command does.

use super::address;
use super::command::{self, Row, Verb};
use super::desk::Then;
use super::list::Format;
use super::reply::Reply;
use super::session::{Interpreter, Step, Turn};
use crate::auth::Rights;
use crate::storage::Storage;

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn execute(
        &mut self,
        row: &'static Row,
        argument: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match row.verb {
            Verb::User => self.user(argument, turn),
            Verb::Host => self.host(turn),
            Verb::Pass => self.pass_out_of_order(turn),
            Verb::Quit => self.close_with(Reply::GOODBYE, turn),
            Verb::Rein => self.reinitialise(turn),
            Verb::Abor => self.abort(turn),
            Verb::Stat => self.status(argument, turn),
            Verb::Cwd => self.look_up(argument, Rights::NONE, Then::ChangeDirectory, turn),
            Verb::Cdup => self.look_up(b"..", Rights::NONE, Then::ChangeDirectory, turn),
            Verb::Pwd => self.print_directory(turn),
            Verb::Size => self.size(argument, turn),
            Verb::Avbl => self.available(argument, turn),
            Verb::Mfmt => self.modify_date(argument, turn),
            Verb::Mff => self.modify_fact(argument, turn),
            Verb::Site => self.site(argument, turn),
            Verb::Mdtm => self.look_up(argument, Rights::LIST, Then::Modified, turn),
            Verb::Rnfr => self.look_up(argument, Rights::RENAME, Then::RenameFrom, turn),
            Verb::Rnto => self.rename_to(argument, turn),
            Verb::Mkd => self.make_directory(argument, turn),
            Verb::Rmd => self.remove_directory(argument, turn),
            Verb::Dele => self.delete(argument, turn),
            Verb::List => self.list(argument, Format::Long, turn),
            Verb::Nlst => self.list(argument, Format::Names, turn),
            Verb::Mlsd => self.list_facts(argument, turn),
            Verb::Mlst => self.look_up(argument, Rights::LIST, Then::Tell, turn),
            Verb::Retr => self.retrieve(argument, turn),
            Verb::Stor | Verb::Appe => self.store(argument, turn),
            Verb::Stou => self.store_unique(turn),
            Verb::Rest => self.restart_at(argument, turn),
            Verb::Hash => self.hash_range(argument, turn),
            Verb::Checksum(algorithm) => self.checksum(algorithm, argument, turn),
            Verb::Rang => self.select_range(argument, turn),
            Verb::Pasv => self.pasv(turn),
            Verb::Epsv => self.epsv(argument, turn),
            Verb::Port => self.data_port(address::port(argument), turn),
            Verb::Eprt => self.data_port(address::eprt(argument), turn),
            Verb::Type => self.represent(argument, turn),
            Verb::Mode => self.mode(argument, turn),
            Verb::Opts => self.options(argument, turn),
            Verb::Feat => self.features(turn),
            verb => self.reply(constant(verb, argument), turn),
        }
    }
}

/// Replies that hang on the argument alone.
fn constant(verb: Verb, argument: &[u8]) -> Reply<'static> {
    let argument = argument.trim_ascii();
    match verb {
        Verb::Noop => Reply::ok("OK"),
        Verb::Syst => Reply::SYSTEM,
        Verb::Help if argument.is_empty() => Reply::Help,
        Verb::Help => help(argument),
        Verb::Clnt => Reply::ok("Good to know"),
        Verb::Csid => Reply::ok(concat!("Name=tinyftp; Version=", env!("CARGO_PKG_VERSION"), ";")),
        Verb::Lang => language(argument),
        Verb::Acct => Reply::SUPERFLUOUS,
        // RFC 959 section 4.1.3: servers that need no storage beforehand treat it as NOOP.
        Verb::Allo if argument.first().is_some_and(u8::is_ascii_digit) => Reply::SUPERFLUOUS,
        Verb::Allo => Reply::bad_argument("ALLO takes a number of bytes"),
        Verb::Stru => structure(argument),
        _ => Reply::UNSUPPORTED,
    }
}

/// HELP with an argument: of its first word.
fn help(argument: &[u8]) -> Reply<'static> {
    let name = argument.split(|&b| b == b' ').next().unwrap_or_default();
    match command::find(name) {
        Some(row) if row.verb == Verb::Site => Reply::SiteHelp,
        Some(row) => Reply::HelpOn(row),
        None => Reply::UNKNOWN,
    }
}

/// STRU: of the structures of RFC 959 only the plain file.
fn structure(argument: &[u8]) -> Reply<'static> {
    match argument {
        b"F" | b"f" => Reply::ok("STRU is F: file"),
        b"R" | b"r" | b"P" | b"p" => Reply::UNSUPPORTED_PARAMETER,
        _ => Reply::bad_argument("Unknown structure"),
    }
}

/// LANG (RFC 2640 section 4): replies are in English only.
fn language(tag: &[u8]) -> Reply<'static> {
    let primary = tag.split(|&b| b == b'-').next().unwrap_or_default();
    if tag.is_empty() || primary.eq_ignore_ascii_case(b"EN") {
        Reply::ok("Replies are in English")
    } else {
        Reply::UNSUPPORTED_PARAMETER
    }
}
