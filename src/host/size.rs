//! Sizes as people write them: `1500`, `10M`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A number of bytes from 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Written")]
pub struct Size(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Size {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(bytes) => bytes.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shift = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
            Some(b'K') => 10,
            Some(b'M') => 20,
            Some(b'G') => 30,
            Some(b'T') => 40,
            _ => 0,
        };
        let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
        match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)) {
            Some(bytes) if bytes > 0 && !digits.starts_with('+') => Ok(Self(bytes)),
            _ => Err("expected a number of bytes from 1, such as 1500, 64K, 10M, 2G".into()),
        }
    }
}

/// In the largest unit that it is a whole number of.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        match units.into_iter().find(|&(shift, _)| self.0.trailing_zeros() >= shift) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("1500", 1500), ("64K", 65_536), ("10m", 10 << 20)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        assert_eq!("3T".parse(), Ok(Size(3 << 40)));
        for text in ["1", "1500", "64K", "1025K", "10M", "3T"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        for bad in ["", "0", "0K", "-1", "+1", "1.5M", "K", "1KB", "99999999999T", "ä"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
