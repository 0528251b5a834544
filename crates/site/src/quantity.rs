//! Pure: times (`"500ms"`, `"5s"`, `"2m"`) and sizes (`"64MiB"`) as people write them.

use std::time::Duration;

/// Milliseconds of each unit of time.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Bytes of each unit of size. Only powers of 1024: what "MB" means is disputed.
const SIZES: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Spellings of other tools, and ours.
const OTHER_UNITS: [(&str, &str); 27] = [
    ("msec", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("b", "B"),
    ("bytes", "B"),
    ("k", "KiB"),
    ("kb", "KiB"),
    ("kib", "KiB"),
    ("m", "MiB"),
    ("mb", "MiB"),
    ("mib", "MiB"),
    ("g", "GiB"),
    ("gb", "GiB"),
    ("gib", "GiB"),
    ("t", "TiB"),
    ("tb", "TiB"),
    ("tib", "TiB"),
];

/// Why a text is no quantity, and the closest one that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoQuantity {
    pub(crate) write: String,
}

/// "5s" → 5 seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, NoQuantity> {
    quantity(text, &TIMES, "s").map(Duration::from_millis)
}

/// "64MiB" → bytes.
pub(crate) fn size(text: &str) -> Result<u64, NoQuantity> {
    quantity(text, &SIZES, "MiB")
}

/// The shortest exact spelling: 90 seconds are "90s", 120 are "2m".
pub(crate) fn show_duration(time: Duration) -> String {
    show(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// The shortest exact spelling.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .rev()
        .find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor));
    // Nothing of anything is written in the second unit: "0s" rather than "0ms".
    let (unit, factor) = fitting.copied().unwrap_or((units[1].0, 1));
    format!("{}{unit}", amount / factor)
}

fn quantity(text: &str, units: &[(&str, u64)], usual: &str) -> Result<u64, NoQuantity> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    let number: Option<u64> = digits.parse().ok();
    match (number, factor) {
        (Some(number), Some(factor)) => number.checked_mul(factor).ok_or_else(|| NoQuantity {
            write: format!("a smaller number of {unit}"),
        }),
        _ => Err(NoQuantity {
            write: closest(text, units, usual),
        }),
    }
}

/// What was probably meant: "5 seconds" → "5s", "64 MB" → "64MiB".
fn closest(text: &str, units: &[(&str, u64)], usual: &str) -> String {
    let text = text.trim().to_lowercase();
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let unit = unit.trim();
    let known = |name: &str| units.iter().any(|(unit, _)| *unit == name);
    let meant = if known(unit) {
        Some(unit)
    } else {
        let others = OTHER_UNITS.iter().filter(|(other, _)| *other == unit);
        others.map(|(_, ours)| *ours).find(|ours| known(ours))
    };
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    match (digits, meant) {
        ("", _) => format!(
            "a number and one of {}, like \"5{usual}\"",
            names.join(", ")
        ),
        (digits, Some(unit)) => format!("\"{digits}{unit}\""),
        (digits, None) if unit.is_empty() && usual == "s" => {
            format!("\"{digits}s\" or \"{digits}ms\"")
        }
        (digits, None) if unit.is_empty() => format!("\"{digits}{usual}\""),
        (_, None) if unit.starts_with(['.', ',']) => {
            format!("a whole number of a smaller unit: {}", names.join(", "))
        }
        (digits, None) => format!("{digits} and one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1B"), Ok(1));
    }

    #[test]
    fn others_get_a_proposal() {
        for (written, proposed) in [
            ("5", "\"5s\" or \"5ms\""),
            ("5 s", "\"5s\""),
            ("5sec", "\"5s\""),
            ("10 Minutes", "\"10m\""),
            ("5 fortnights", "5 and one of ms, s, m, h, d"),
            ("soon", "a number and one of ms, s, m, h, d, like \"5s\""),
            ("1.5s", "a whole number of a smaller unit: ms, s, m, h, d"),
            ("99999999999999999999s", "\"99999999999999999999s\""),
        ] {
            assert_eq!(duration(written).unwrap_err().write, proposed, "{written}");
        }
        assert_eq!(size("64MB").unwrap_err().write, "\"64MiB\"");
        assert_eq!(size("64m").unwrap_err().write, "\"64MiB\"");
        assert_eq!(size("64").unwrap_err().write, "\"64MiB\"");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(ms in 0..u64::from(u32::MAX)) {
            let time = Duration::from_millis(ms);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
            prop_assert_eq!(size(&show_size(ms)), Ok(ms));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            drop(duration(&text));
            drop(size(&text));
        }
    }
}
