//! Messages as text, and back: written here once more, so that one is checked by the other.
//!
//! The first line is `query` or `response`, with `id N`, `TC` and whatever else is unusual. Then
//! comes a line for each question (`?`) and each record: answers (`=`), authority (`~`),
//! additional (`+`).
//!
//! ```text
//! query
//! ? tinyftp.local ANY QU
//! ~ tinyftp.local 120 A 192.0.2.1
//! ```
//!
//! `QU` and `flush` are the top bit of the class. What is read must have nothing left over.

use std::net::{Ipv4Addr, Ipv6Addr};

const TYPES: [(u16, &str); 8] = [
    (1, "A"),
    (12, "PTR"),
    (13, "HINFO"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (47, "NSEC"),
    (255, "ANY"),
];
const SECTIONS: [&str; 3] = ["=", "~", "+"];

/// A message as text.
pub fn text(message: &[u8]) -> String {
    let mut reader = Reader { message, at: 0 };
    let (id, flags) = (reader.u16(), reader.u16());
    let counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
    let mut lines = vec![heading(id, flags)];
    for _ in 0..counts[0] {
        let (name, rtype, class) = (reader.name(), reader.u16(), reader.u16());
        lines.push(format!("? {name} {}{}", type_name(rtype), top_bit(class, " QU")));
    }
    for (section, count) in SECTIONS.into_iter().zip(&counts[1..]) {
        for _ in 0..*count {
            lines.push(format!("{section} {}", reader.record()));
        }
    }
    assert_eq!(reader.at, message.len(), "octets after the message");
    lines.join("\n") + "\n"
}

fn heading(id: u16, flags: u16) -> String {
    let mut heading = match flags & !0x0200 {
        0 => "query".to_string(),
        0x8400 => "response".to_string(),
        other => panic!("flags {other:04x}"),
    };
    if flags & 0x0200 != 0 {
        heading += " TC";
    }
    if id != 0 {
        heading += &format!(" id {id}");
    }
    heading
}

fn top_bit(class: u16, name: &'static str) -> &'static str {
    assert_eq!(class & 0x7fff, 1, "the class is IN");
    if class & 0x8000 != 0 { name } else { "" }
}

fn type_name(rtype: u16) -> &'static str {
    TYPES.iter().find(|row| row.0 == rtype).unwrap_or_else(|| panic!("type {rtype}")).1
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn octets(&mut self, len: usize) -> &[u8] {
        self.at += len;
        &self.message[self.at - len..self.at]
    }

    fn u8(&mut self) -> u8 {
        self.octets(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.octets(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.octets(4).try_into().unwrap())
    }

    fn name(&mut self) -> String {
        let mut labels = vec![];
        let mut after = None;
        loop {
            match self.u8() {
                0 => break,
                len @ 1..64 => {
                    let label = self.octets(len.into()).to_vec();
                    labels.push(String::from_utf8(label).unwrap());
                }
                len => {
                    assert!(len >= 0xc0);
                    let to = usize::from(len & 0x3f) << 8 | usize::from(self.u8());
                    after.get_or_insert(self.at);
                    assert!(to < self.at - 2, "a pointer back");
                    self.at = to;
                }
            }
        }
        self.at = after.unwrap_or(self.at);
        labels.join(".")
    }

    fn record(&mut self) -> String {
        let (name, rtype, class) = (self.name(), self.u16(), self.u16());
        let (ttl, len) = (self.u32(), usize::from(self.u16()));
        let end = self.at + len;
        let data = match rtype {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(self.octets(4)).unwrap()).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(self.octets(16)).unwrap()).to_string(),
            12 => self.name(),
            16 => self.strings(end),
            33 => {
                assert_eq!(self.u32(), 0, "priority and weight");
                format!("{} {}", self.u16(), self.name())
            }
            47 => format!("{} {}", self.name(), self.types()),
            other => panic!("type {other}"),
        };
        assert_eq!(self.at, end, "the length of {name}");
        format!("{name} {ttl} {}{} {data}", top_bit(class, "flush "), type_name(rtype))
    }

    fn strings(&mut self, end: usize) -> String {
        let mut strings = vec![];
        while self.at < end {
            let len = self.u8();
            let string = self.octets(len.into()).to_vec();
            strings.push(format!("\"{}\"", String::from_utf8(string).unwrap()));
        }
        strings.join(" ")
    }

    fn types(&mut self) -> String {
        assert_eq!(self.u8(), 0, "the block");
        let len = self.u8();
        let bitmap = self.octets(len.into());
        assert_ne!(bitmap.last(), Some(&0), "no octets in vain");
        let is_set = |rtype: &u16| bitmap[usize::from(rtype / 8)] & 0x80 >> (rtype % 8) != 0;
        let types = (0..bitmap.len() as u16 * 8).filter(is_set).map(type_name);
        types.collect::<Vec<_>>().join(" ")
    }
}

/// The message that a text describes; no name in it is compressed.
pub fn message(text: &str) -> Vec<u8> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let heading: Vec<_> = lines.next().expect("a heading").split(' ').collect();
    let id = heading.iter().position(|&word| word == "id").map_or(0, |at| number(heading[at + 1]));
    let truncated = if heading.contains(&"TC") { 0x0200 } else { 0 };
    let flags = truncated | if heading[0] == "response" { 0x8400 } else { 0 };
    let (mut counts, mut body) = ([0u16; 4], vec![]);
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        if words[0] == "?" {
            counts[0] += 1;
            body.extend(question(&words));
        } else {
            counts[1 + SECTIONS.iter().position(|&section| section == words[0]).unwrap()] += 1;
            body.extend(record(&words));
        }
    }
    let header = [id, flags].into_iter().chain(counts);
    header.flat_map(u16::to_be_bytes).chain(body).collect()
}

fn number(word: &str) -> u16 {
    word.parse().unwrap_or_else(|_| panic!("{word}"))
}

fn question(words: &[&str]) -> Vec<u8> {
    let class = if words.get(3) == Some(&"QU") { 0x8001u16 } else { 1 };
    [name(words[1]), rtype(words[2]).to_vec(), class.to_be_bytes().to_vec()].concat()
}

fn record(words: &[&str]) -> Vec<u8> {
    let ttl: u32 = words[2].parse().unwrap();
    let flush = usize::from(words[3] == "flush");
    let class = if flush == 1 { 0x8001u16 } else { 1 };
    let (kind, data) = (words[3 + flush], &words[4 + flush..]);
    let data = match kind {
        "A" => data[0].parse::<Ipv4Addr>().unwrap().octets().to_vec(),
        "AAAA" => data[0].parse::<Ipv6Addr>().unwrap().octets().to_vec(),
        "PTR" => name(data[0]),
        "SRV" => [&[0; 4][..], &number(data[0]).to_be_bytes(), &name(data[1])].concat(),
        "TXT" | "HINFO" => data.iter().flat_map(|string| label(string.trim_matches('"'))).collect(),
        other => panic!("type {other}"),
    };
    [
        name(words[1]),
        rtype(kind).to_vec(),
        class.to_be_bytes().to_vec(),
        ttl.to_be_bytes().to_vec(),
        (data.len() as u16).to_be_bytes().to_vec(),
        data,
    ]
    .concat()
}

fn rtype(name: &str) -> [u8; 2] {
    let row = TYPES.iter().find(|row| row.1 == name).unwrap_or_else(|| panic!("type {name}"));
    row.0.to_be_bytes()
}

fn name(name: &str) -> Vec<u8> {
    name.split('.').flat_map(label).chain([0]).collect()
}

fn label(label: &str) -> Vec<u8> {
    [&[label.len() as u8], label.as_bytes()].concat()
}
