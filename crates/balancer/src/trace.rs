//! Pure: the trace a request belongs to (W3C Trace Context, level 1). A valid `traceparent` goes on as
//! it came: we record no spans, so we are no link of the chain. Without one, or with one that nobody
//! could read, a new trace begins here. `tracestate` says nothing without the other.

use http::head::Fields;

/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// Section 3.3.1.1: entries of a list.
const MEMBERS: usize = 32;
/// Section 3.3.1.5 asks for 512 at least; longer ones go on as long as the head's bound allows, since
/// cutting would need to know what is worth keeping. This is ours.
const STATE: usize = 4 << 10;

/// What goes to the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace<'a> {
    Passed { parent: &'a str },
    Begun { parent: Parent },
}

/// A `traceparent` of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent([u8; LENGTH]);

impl Parent {
    pub fn as_str(&self) -> &str {
        // Made of hexadecimal digits and dashes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<'a> Trace<'a> {
    /// `random`: for a trace that begins here. Not sampled: who records decides.
    pub fn of(fields: Fields<'_, 'a>, random: [u64; 3]) -> Self {
        let mut lines = fields.all("traceparent");
        let parent = match (lines.next(), lines.next()) {
            (Some(line), None) => std::str::from_utf8(line)
                .ok()
                .filter(|text| is_parent(text)),
            _ => None,
        };
        match parent {
            Some(parent) => Self::Passed { parent },
            None => Self::Begun {
                parent: begin(random),
            },
        }
    }

    pub fn parent(&self) -> &str {
        match self {
            Self::Passed { parent } => parent,
            Self::Begun { parent } => parent.as_str(),
        }
    }

    /// The 32 digits of the trace's id, for the access log.
    pub fn id(&self) -> &str {
        self.parent().get(3..35).unwrap_or_default()
    }

    /// Whether the request's `tracestate` goes on.
    pub fn keeps_state(&self, fields: Fields<'_, '_>) -> bool {
        matches!(self, Self::Passed { .. }) && is_state(fields)
    }
}

fn begin(random: [u64; 3]) -> Parent {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let [high, low, span] = random;
    // All zeros are no id (section 3.2.2.3).
    let ids = [(3, high), (19, low | 1), (36, span | 1)];
    for (begin, id) in ids {
        for (digit, shift) in text.iter_mut().skip(begin).zip((0..16).rev()) {
            let nibble = u32::try_from(id >> (4 * shift) & 15).unwrap_or(0);
            *digit = char::from_digit(nibble, 16).map_or(b'0', |c| c as u8);
        }
    }
    Parent(text)
}

fn is_parent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|b| *b != b'0');
    let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
    let version = part(0, 2);
    // A later version may go on behind another dash (section 3.2.4).
    let length = match version {
        b"00" => bytes.len() == LENGTH,
        _ => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
    };
    length
        && dashes
        && is_hex(version)
        && version != b"ff"
        && is_id(part(3, 35))
        && is_id(part(36, 52))
        && is_hex(part(53, LENGTH))
}

/// Section 3.3.1: `key=value` between commas, each key once.
fn is_state(fields: Fields<'_, '_>) -> bool {
    let (mut length, mut members) = (0, 0);
    let mut keys: [&[u8]; MEMBERS] = [&[]; MEMBERS];
    for line in fields.all("tracestate") {
        length += line.len();
        for member in line.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if member.is_empty() {
                continue;
            }
            let equals = member.iter().position(|b| *b == b'=');
            let Some((key, value)) = equals.and_then(|at| member.split_at_checked(at)) else {
                return false;
            };
            let Some(place) = keys.get_mut(members) else {
                return false;
            };
            *place = key;
            let before = keys.get(..members).unwrap_or_default();
            if !is_key(key)
                || !is_value(value.get(1..).unwrap_or_default())
                || before.contains(&key)
            {
                return false;
            }
            members += 1;
        }
    }
    members > 0 && length <= STATE
}

fn is_key(key: &[u8]) -> bool {
    let begins = key
        .first()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let of_key = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(b);
    let vendors = key.iter().filter(|b| **b == b'@').count();
    begins && key.len() <= 256 && key.iter().all(of_key) && vendors <= 1
}

fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len()) && value.iter().all(|b| matches!(b, 0x20..=0x7e) && *b != b'=')
}

#[cfg(test)]
mod tests {
    use http::head::{Storage, request};

    use super::*;

    fn with<R>(lines: &str, then: impl FnOnce(Fields<'_, '_>) -> R) -> R {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut storage = Storage::new();
        then(request(text.as_bytes(), &mut storage).unwrap().fields)
    }

    fn passed(parent: &str) -> bool {
        with(&format!("traceparent: {parent}\r\n"), |fields| {
            Trace::of(fields, [1, 2, 3]).parent() == parent
        })
    }

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_trace_goes_on() {
        assert!(passed(VALID));
        assert!(passed(&VALID.replacen("00", "cc", 1)));
        assert!(passed(&format!("{}-more", VALID.replacen("00", "cc", 1))));
        for parent in [
            "",
            &VALID[..54],
            &VALID.to_uppercase(),
            &VALID.replacen("00", "ff", 1),
            &VALID.replace("b7ad6b7169203331", "0000000000000000"),
            &VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &VALID.replace('-', "_"),
            &format!("{VALID}-more"),
            &format!("{}more", VALID.replacen("00", "cc", 1)),
            &format!("{VALID}\r\ntraceparent: {VALID}"),
        ] {
            assert!(!passed(parent), "{parent}");
        }
    }

    #[test]
    fn a_new_trace_is_valid() {
        with("", |fields| {
            let trace = Trace::of(fields, [0xabc, 0, u64::MAX]);
            assert_eq!(
                trace.parent(),
                "00-0000000000000abc0000000000000001-ffffffffffffffff-00"
            );
            assert_eq!(trace.id(), "0000000000000abc0000000000000001");
            assert!(is_parent(trace.parent()));
        });
    }

    #[test]
    fn state_goes_on_when_it_is_valid() {
        let keeps = |state: &str| {
            let lines = format!("traceparent: {VALID}\r\ntracestate: {state}\r\n");
            with(&lines, |fields| {
                Trace::of(fields, [1, 2, 3]).keeps_state(fields)
            })
        };
        assert!(keeps("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        assert!(keeps("a@b=1 2 , , c=d"));
        assert!(keeps("a=1\r\ntracestate: b=2"));
        for state in ["", "a", "a=", "A=1", "a=1,a=2", "a=b=c", "@a=1", "a@b@c=1"] {
            assert!(!keeps(state), "{state}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
        assert!(keeps(&many[..32].join(",")) && !keeps(&many.join(",")));
        let alone = "tracestate: a=1\r\n";
        assert!(!with(alone, |fields| Trace::of(fields, [1, 2, 3])
            .keeps_state(fields)));
    }
}
