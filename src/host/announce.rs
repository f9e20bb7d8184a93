//! What the program says of itself at its start.

use std::io;
use std::net::IpAddr;

use tinyftp::auth::Rights;
use tinyftp::net::{Binding, Plan, Protocol};

use super::cli::Options;
use super::network;
use super::services::FTP;

/// Says what there is to be had.
pub fn announce(options: &Options, offloads: bool, services: &[Binding<'_>]) {
    // Whoever closed our standard output does not want to know.
    let _ = introduce(options, offloads, services, &mut io::stdout().lock());
}

fn introduce(
    options: &Options,
    offloads: bool,
    services: &[Binding<'_>],
    out: &mut impl io::Write,
) -> io::Result<()> {
    let (version, hardware) = (env!("CARGO_PKG_VERSION"), options.hardware_address());
    let tap = format!("{}{}", options.tap, if offloads { " with offload" } else { "" });
    writeln!(out, "tinyftp {version} on {tap}, hardware address {hardware}")?;
    let plan = Plan::of(&options.addresses);
    for address in &options.addresses {
        writeln!(out, "  address   {}", network::words(address, &plan))?;
    }
    if !options.no_mdns {
        writeln!(out, "  name      {}.local", options.hostname.as_str())?;
    }
    for line in service_lines(services) {
        writeln!(out, "  service   {line}")?;
    }
    if let Some(port) = options.services.port(FTP) {
        introduce_ftp(options, port, out)?;
    }
    if let Some(file) = &options.pcap {
        writeln!(out, "  capture   {}, {} at most", file.display(), options.pcap_limit)?;
    }
    out.flush()
}

/// A line for each service that is to be had: one over TCP and UDP has one line.
fn service_lines(services: &[Binding<'_>]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for row in services.iter().filter(|row| row.port != 0) {
        let is_udp = |row: &Binding<'_>| matches!(row.protocol, Protocol::Udp(_));
        let twin = |other: &&Binding<'_>| other.name == row.name && is_udp(other) != is_udp(row);
        let has_twin = services.iter().any(|other| twin(&other));
        let transport = match (is_udp(row), has_twin) {
            (true, true) => continue,
            (false, true) => "TCP and UDP",
            (false, false) => "TCP",
            (true, false) => "UDP",
        };
        let addresses: Vec<_> = row.addresses.iter().map(IpAddr::to_string).collect();
        let at = if addresses.is_empty() { "" } else { &format!(", at {}", addresses.join(", ")) };
        lines.push(format!("{}, {transport} port {}{at}", row.name, row.port));
    }
    lines
}

fn introduce_ftp(options: &Options, port: u16, out: &mut impl io::Write) -> io::Result<()> {
    match &options.root {
        Some(root) => writeln!(out, "  root      {}", root.display())?,
        None => writeln!(out, "  root      a disk of 16 MiB in memory")?,
    }
    writeln!(out, "  accounts  {}", account_line(options))?;
    let limits = limits(options);
    if !limits.is_empty() {
        writeln!(out, "  limits    {}", limits.join(", "))?;
    }
    match example(options, port) {
        Some(example) => writeln!(out, "  try       {example}"),
        None => Ok(()),
    }
}

fn account_line(options: &Options) -> String {
    let mut parts = Vec::new();
    for user in &options.users {
        parts.push(format!("{} ({})", user.name, describe(user.rights())));
    }
    if parts.is_empty() { "none: nobody can log in".into() } else { parts.join(", ") }
}

fn describe(rights: Rights) -> &'static str {
    if rights == Rights::NONE {
        return "may do nothing";
    }
    if Rights::READ_ONLY.contains(rights) { "reads" } else { "reads and writes" }
}

/// What all have to keep to, in few words.
fn limits(options: &Options) -> Vec<String> {
    let sessions = options.max_per_address.map(|count| format!("sessions of an address {count}"));
    let sizes = [
        ("upload", options.max_upload, ""),
        ("quota", options.quota, ""),
        ("rate of a session", options.rate, "/s"),
        ("rate of all", options.total_rate, "/s"),
    ];
    let sizes = sizes
        .into_iter()
        .filter_map(|(name, size, unit)| size.map(|size| format!("{name} {size}{unit}")));
    sessions.into_iter().chain(sizes).collect()
}

/// A command that shows that it works, for somebody who may log in.
fn example(options: &Options, port: u16) -> Option<String> {
    let host = host(options)?;
    let anonymous = options.users.iter().find(|user| user.is_anonymous());
    let user = anonymous.or(options.users.first())?;
    // curl asks for the password.
    let name = if user.is_anonymous() { "" } else { &format!("-u {} ", user.name) };
    let port = if port == 21 { String::new() } else { format!(":{port}") };
    let sees_readme = options.root.is_none() && user.root() == "/";
    let file = if sees_readme { "README.txt" } else { "" };
    Some(format!("curl {name}ftp://{host}{port}/{file}"))
}

/// Where FTP is to be had, for sure: at an address that is known, or else by name.
fn host(options: &Options) -> Option<String> {
    let only = options.services.addresses(FTP);
    let fixed = options.addresses.iter().filter_map(network::fixed);
    let mut addresses = fixed.map(|cidr| IpAddr::from(cidr.address()));
    match addresses.find(|address| only.is_empty() || only.contains(address)) {
        Some(IpAddr::V6(address)) => Some(format!("[{address}]")),
        Some(address) => Some(address.to_string()),
        None if options.no_mdns => None,
        None => Some(format!("{}.local", options.hostname.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tinyftp::services::discard::Discard;
    use tinyftp::services::echo::Echo;

    use super::*;

    #[test]
    fn rights_in_words() {
        assert_eq!(describe(Rights::NONE), "may do nothing");
        assert_eq!(describe(Rights::READ), "reads");
        assert_eq!(describe(Rights::READ_ONLY), "reads");
        assert_eq!(describe(Rights::ALL), "reads and writes");
    }

    #[test]
    fn services_in_lines() {
        let own = ["192.0.2.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let (mut one, mut other, mut discard, mut off) = (Echo, Echo, Discard, Discard);
        let rows = [
            Binding::udp("echo", 7, &mut one),
            Binding::udp("discard", 9, &mut discard).at(&own),
            Binding::udp("off", 0, &mut off),
            Binding::udp("other", 7000, &mut other),
        ];
        let lines = [
            "echo, UDP port 7",
            "discard, UDP port 9, at 192.0.2.1, fd00::1",
            "other, UDP port 7000",
        ];
        assert_eq!(service_lines(&rows), lines);
    }

    #[test]
    fn the_example_works() {
        let example = |arguments: &str| {
            let arguments = ["tinyftp"].into_iter().chain(arguments.split_whitespace());
            let options = Options::try_parse_from(arguments).unwrap().complete().unwrap();
            example(&options, options.services.port(FTP).unwrap())
        };
        let works = |arguments: &str, expected: &str| {
            assert_eq!(example(arguments).as_deref(), Some(expected), "{arguments}");
        };
        works("", "curl ftp://192.168.69.1/README.txt");
        works("--root / --user a:b --service ftp:2121", "curl -u a ftp://192.168.69.1:2121/");
        works("--address dhcp --address fd00::1/64", "curl ftp://[fd00::1]/README.txt");
        works("--address dhcp --hostname box", "curl ftp://box.local/README.txt");
        let both = "--address 192.0.2.1/24 --address 192.0.2.2/24";
        works(&format!("{both} --listen 192.0.2.2"), "curl ftp://192.0.2.2/README.txt");
        assert_eq!(example("--address dhcp --no-mdns"), None);
        assert_eq!(example("--anonymous off"), None);
    }
}
