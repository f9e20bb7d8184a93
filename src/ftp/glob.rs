//! Wildcards in the last name of a path, as `mget` and people use them.

/// Whether `name` has a character that means something in a pattern.
pub(super) fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether `name` matches `pattern`: `*` is any bytes, `?` is one, `[a-z]` is one of these and
/// `[!a-z]` one of the others. A leading dot has to be there in the pattern.
///
/// Only the last `*` is ever tried again, so the time is bounded by the product of the lengths.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where the last bracket closes: behind it none is looked for, again and again.
    let last = pattern.iter().rposition(|&byte| byte == b']').unwrap_or(0);
    // Behind the last `*`, and where in the name what follows it was last tried.
    let mut star = None;
    while let Some(&byte) = name.get(n) {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
        } else if let Some(length) = one(pattern.get(p..).unwrap_or_default(), byte, p < last) {
            p += length;
            n += 1;
        } else if let Some((behind, tried)) = star {
            (p, n) = (behind, tried + 1);
            star = Some((behind, tried + 1));
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// If the front of the pattern stands for `byte`, how long that front is. A closing bracket may
/// be there or not.
fn one(pattern: &[u8], byte: u8, may_close: bool) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] if may_close => match class(rest, byte) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            // Without its end it is a bracket like any other byte.
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Whether `byte` is in the class that `pattern` begins with, and how long that is with its
/// closing bracket; `None` if it is not closed.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let (not, start) = match pattern {
        [b'!' | b'^', ..] => (true, 1),
        _ => (false, 0),
    };
    // A closing bracket at the beginning is one of the class.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|&b| b == b']')?;
    let mut members = pattern.get(start..end)?;
    let mut found = false;
    while let [first, rest @ ..] = members {
        let (last, rest) = match rest {
            [b'-', last, rest @ ..] => (last, rest),
            _ => (first, rest),
        };
        found |= (first..=last).contains(&&byte);
        members = rest;
    }
    Some((found != not, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, good, bad) in [
            ("*", &["a", "a.txt"][..], &[".a"][..]),
            (".*", &[".a", "."], &["a"]),
            ("*.txt", &["a.txt", "b.c.txt"], &["txt", "a.txt2"]),
            ("a?c", &["abc", "a.c"], &["ac", "abbc"]),
            ("[a-c]1", &["a1", "c1"], &["d1", "-1"]),
            ("[!a-c]1", &["d1", "-1"], &["a1"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a", &["[a"], &["a"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "abcd"]),
            ("", &[""], &["a"]),
            ("**", &["", "a"], &[]),
        ] {
            for name in good {
                assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
            for name in bad {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_time() {
        // CVE-2010-2632: with backtracking at every star this would not end.
        let pattern = b"a*".repeat(100);
        let mut name = [b'a'; 250];
        assert!(matches(&pattern, &name));
        name[249] = b'b';
        let pattern = [&pattern[..], b"c"].concat();
        assert!(!matches(&pattern, &name));
        // Nor would this, if at each bracket the rest were searched for one that closes it.
        let pattern = [b"*", &[b'['; 3000][..], b"x"].concat();
        assert!(!matches(&pattern, &[b'['; 6000]));
    }
}
