//! What holds for any input at all: the bodies of the fuzz targets that look inside.
//!
//! `fuzz/` has a target for each of these functions, and the tests here run them over the
//! corpus that is kept there. The target for whole sessions needs no more than the public
//! interface, and is with the tests of FTP.

mod command_line;
mod listing;

pub use command_line::command_line;
pub use listing::listing;

#[cfg(test)]
#[path = "../../tests/ftp/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_corpus() {
        corpus::run("command_line", command_line);
    }

    #[test]
    fn listing_corpus() {
        corpus::run("listing", listing);
    }
}
