//! Pure: which bytes of a file a Range field asks for (RFC 9110 section 14).
//!
//! One range is answered with 206. Several, or what cannot be read, are answered with the whole file,
//! which section 14.2 allows and which keeps a client from multiplying its traffic by asking for a
//! thousand overlapping pieces.

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    Whole,
    /// First byte and number of bytes, at least one.
    Part {
        start: u64,
        length: u64,
    },
    Unsatisfiable,
}

/// `value`: of the Range field, if there is one.
pub fn select(value: Option<&str>, size: u64) -> Selection {
    let Some(spec) = value.and_then(|value| value.strip_prefix("bytes=")) else {
        return Selection::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Selection::Whole;
    };
    if spec.contains(',') {
        return Selection::Whole;
    }
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return Selection::Whole,
    };
    if start < end {
        Selection::Part {
            start,
            length: end - start,
        }
    } else {
        Selection::Unsatisfiable
    }
}

fn number(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // More digits than fit are more bytes than any file has.
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        let part = |start, length| Selection::Part { start, length };
        for (value, expected) in [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 500)),
            ("bytes=-500", part(9500, 500)),
            ("bytes=9500-", part(9500, 500)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=9999-99999", part(9999, 1)),
            ("bytes=-99999", part(0, 10000)),
            ("bytes=10000-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=5-4", Selection::Whole),
            ("bytes=0-1,5-6", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("lines=1-2", Selection::Whole),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
        ] {
            assert_eq!(select(Some(value), 10000), expected, "{value}");
        }
        assert_eq!(select(None, 10000), Selection::Whole);
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(value in "bytes=[0-9]{0,22}-[0-9]{0,22}", size in any::<u64>()) {
            if let Selection::Part { start, length } = select(Some(&value), size) {
                prop_assert!(length > 0);
                prop_assert!(start.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
