//! Bytes that go from one place to another.

/// Copies as many bytes as both have, and says how many.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    // In pieces of one byte, which nobody else copies: so the compiler has a copy for this place
    // alone, which sees that the lengths are the same.
    let (from, _) = from.get(..count).unwrap_or_default().as_chunks::<1>();
    let (to, _) = to.get_mut(..count).unwrap_or_default().as_chunks_mut();
    to.copy_from_slice(from);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_copied() {
        for (from, expected) in [("", "...."), ("ab", "ab.."), ("abcdef", "abcd")] {
            let mut to = *b"....";
            assert_eq!(copy(from.as_bytes(), &mut to), from.len().min(4));
            assert_eq!(to, expected.as_bytes());
        }
    }
}
