//! Ports by number, and by the name of their service.

use std::fs;

/// Those that every system knows, for one without a list.
const WELL_KNOWN: [(&str, u16); 8] = [
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("ftp", 21),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("http", 80),
];

/// A port, or the port of a service over TCP.
pub fn parse(text: &str) -> Result<u16, String> {
    let port = match text.parse() {
        Ok(port) => Some(port).filter(|&port| port != 0),
        Err(_) => {
            let list = fs::read_to_string("/etc/services").unwrap_or_default();
            listed(&list, text).or_else(|| well_known(text))
        }
    };
    port.ok_or_else(|| "expected a port from 1 to 65535, or a service such as echo".into())
}

/// The port of a name in a file such as /etc/services: `echo 7/tcp`, and aliases.
fn listed(list: &str, name: &str) -> Option<u16> {
    list.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (official, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (official == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

fn well_known(name: &str) -> Option<u16> {
    WELL_KNOWN.iter().find(|(known, _)| *known == name).map(|&(_, port)| port)
}
