//! Pure: one line per exchange: as JSON, in Apache's combined format, or as the site file says.

use std::fmt::Write as _;

/// What is known of an exchange when it is over. All text is borrowed: nothing is copied to log it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exchange<'a> {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    pub request_id: &'a str,
    pub client: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    pub method: &'a str,
    pub target: &'a str,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`, as Apache and nginx write it.
    pub protocol: &'a str,
    /// Of the request; filled in only for formats that have them (`Format::wants_visitor`).
    pub referer: &'a str,
    pub user_agent: &'a str,
    pub status: u16,
    /// Why we answered ourselves; empty when an endpoint did.
    pub reason: &'a str,
    /// Body bytes sent to the client.
    pub bytes: u64,
    pub duration_us: u64,
    pub route: &'a str,
    pub backend: &'a str,
    /// Who answered; empty when we did.
    pub endpoint: &'a str,
    /// Endpoints tried, 0 when we answered ourselves.
    pub attempts: u32,
    /// Why it went wrong; empty when it went well.
    pub fault: &'a str,
}

/// How a line looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Json,
    Combined,
    Template(Vec<Piece>),
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// A name of `NAMES`.
    Name(&'static str),
}

/// Names in braces that a template may have.
pub const NAMES: [&str; 19] = [
    "time",
    "request-id",
    "client",
    "scheme",
    "host",
    "method",
    "target",
    "protocol",
    "referer",
    "user-agent",
    "status",
    "reason",
    "bytes",
    "duration-us",
    "route",
    "backend",
    "endpoint",
    "attempts",
    "fault",
];

impl Format {
    /// Names that are none are text.
    pub fn template(text: &str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let mut plain = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let name = after.split_once('}').and_then(|(name, after)| {
                let known = NAMES.iter().find(|known| **known == name)?;
                Some((*known, after))
            });
            match name {
                Some((name, after)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Name(name));
                    rest = after;
                }
                None => {
                    plain.push('{');
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Self::Template(pieces)
    }

    /// Whether what a visitor's browser says of itself stands in the lines.
    pub fn wants_visitor(&self) -> bool {
        match self {
            Self::Json | Self::Off => false,
            Self::Combined => true,
            Self::Template(pieces) => pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Name("referer" | "user-agent"))),
        }
    }

    /// Appends a line and its end.
    pub fn write_line(&self, exchange: &Exchange<'_>, out: &mut String) {
        match self {
            Self::Off => {}
            Self::Json => exchange.write_json(out),
            Self::Combined => exchange.write_combined(out),
            Self::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.push_str(text),
                        Piece::Name(name) => exchange.write_named(name, out),
                    }
                }
                out.push('\n');
            }
        }
    }
}

impl Exchange<'_> {
    /// The Combined Log Format of Apache's manual ("Log Files").
    fn write_combined(&self, out: &mut String) {
        safe(out, self.client);
        out.push_str(" - - [");
        clock(out, self.at_ms);
        out.push_str("] \"");
        // What was no request has none of them.
        match self.method {
            "" => out.push('-'),
            method => {
                safe(out, method);
                out.push(' ');
                safe(out, self.target);
                out.push(' ');
                safe(out, self.protocol);
            }
        }
        out.push_str("\" ");
        number(out, u64::from(self.status));
        out.push(' ');
        number(out, self.bytes);
        for text in [self.referer, self.user_agent] {
            out.push_str(" \"");
            safe(out, if text.is_empty() { "-" } else { text });
            out.push('"');
        }
        out.push('\n');
    }

    fn write_named(&self, name: &str, out: &mut String) {
        let text = match name {
            "time" => {
                let seconds = self.at_ms / 1000;
                let (year, month, day) = date(seconds / 86_400);
                let of_day = seconds % 86_400;
                // ISO 8601; writing to a String cannot fail.
                let (hour, minute) = (of_day / 3600, of_day / 60 % 60);
                write!(
                    out,
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:03}Z",
                    of_day % 60,
                    self.at_ms % 1000
                )
                .unwrap_or_default();
                return;
            }
            "status" => return number(out, u64::from(self.status)),
            "bytes" => return number(out, self.bytes),
            "duration-us" => return number(out, self.duration_us),
            "attempts" => return number(out, u64::from(self.attempts)),
            "request-id" => self.request_id,
            "client" => self.client,
            "scheme" => self.scheme,
            "host" => self.host,
            "method" => self.method,
            "target" => self.target,
            "protocol" => self.protocol,
            "referer" => self.referer,
            "user-agent" => self.user_agent,
            "reason" => self.reason,
            "route" => self.route,
            "backend" => self.backend,
            "endpoint" => self.endpoint,
            "fault" => self.fault,
            _ => "",
        };
        safe(out, if text.is_empty() { "-" } else { text });
    }

    /// One JSON object and a line feed.
    fn write_json(&self, out: &mut String) {
        out.push_str("{\"at\":");
        number(out, self.at_ms);
        text(out, ",\"id\":\"", self.request_id);
        text(out, ",\"client\":\"", self.client);
        text(out, ",\"scheme\":\"", self.scheme);
        text(out, ",\"host\":\"", self.host);
        text(out, ",\"method\":\"", self.method);
        text(out, ",\"target\":\"", self.target);
        text(out, ",\"protocol\":\"", self.protocol);
        out.push_str(",\"status\":");
        number(out, u64::from(self.status));
        out.push_str(",\"bytes\":");
        number(out, self.bytes);
        out.push_str(",\"duration_us\":");
        number(out, self.duration_us);
        text(out, ",\"route\":\"", self.route);
        text(out, ",\"backend\":\"", self.backend);
        text(out, ",\"endpoint\":\"", self.endpoint);
        out.push_str(",\"attempts\":");
        number(out, u64::from(self.attempts));
        if !self.reason.is_empty() {
            text(out, ",\"reason\":\"", self.reason);
        }
        if !self.fault.is_empty() {
            text(out, ",\"fault\":\"", self.fault);
        }
        out.push_str("}\n");
    }
}

/// Nothing that could end a field or a line: Apache writes `\xhh` for what is not printable, and so do we.
fn safe(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            // Writing to a String cannot fail.
            c if c.is_control() => write!(out, "\\x{:02x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
}

/// `10/Oct/2000:13:55:36 +0000`
fn clock(out: &mut String, at_ms: u64) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = at_ms / 1000;
    let (year, month, day) = date(seconds / 86_400);
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|month| MONTHS.get(month));
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    // Writing to a String cannot fail.
    write!(
        out,
        "{day:02}/{}/{year}:{hour:02}:{minute:02}:{second:02} +0000",
        name.unwrap_or(&"-")
    )
    .unwrap_or_default();
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

fn number(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// `prefix` (which opens the quote), the value escaped as RFC 8259 section 7 asks, the closing quote.
fn text(out: &mut String, prefix: &str, value: &str) {
    out.push_str(prefix);
    // Nearly always: nothing to escape.
    if value.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push_str(value);
        out.push('"');
        return;
    }
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                out.push_str("\\u00");
                let hex = b"0123456789abcdef";
                let byte = c as usize;
                for nibble in [byte >> 4, byte & 15] {
                    out.push(hex.get(nibble).copied().unwrap_or(b'0') as char);
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Format};

    fn exchange<'a>() -> Exchange<'a> {
        Exchange {
            // 2026-11-24T21:13:15.042Z
            at_ms: 1_795_554_795_042,
            request_id: "r",
            client: "127.0.0.1",
            scheme: "http",
            host: "a\"b\\c",
            method: "GET",
            target: "/\u{1}\n\u{7f}é",
            protocol: "HTTP/1.1",
            referer: "",
            user_agent: "curl \"x\"",
            status: 200,
            bytes: 3,
            duration_us: 4,
            reason: "",
            route: "site",
            backend: "web",
            endpoint: "app-1",
            attempts: 1,
            fault: "reset",
        }
    }

    fn line(format: &Format) -> String {
        let mut line = String::new();
        format.write_line(&exchange(), &mut line);
        line
    }

    #[test]
    fn a_line_is_valid_json_whatever_the_client_sends() {
        let value: serde_json::Value = serde_json::from_str(&line(&Format::Json)).unwrap();
        assert_eq!(value["host"], "a\"b\\c");
        assert_eq!(value["target"], "/\u{1}\n\u{7f}é");
    }

    #[test]
    fn the_combined_format_is_apaches() {
        assert_eq!(
            line(&Format::Combined),
            "127.0.0.1 - - [24/Nov/2026:21:13:15 +0000] \"GET /\\x01\\x0a\\x7fé HTTP/1.1\" 200 3 \
             \"-\" \"curl \\\"x\\\"\"\n"
        );
    }

    #[test]
    fn a_template_has_what_it_names() {
        let format = Format::template("{time} {client} {status} {nothing} {reason} {endpoint}");
        assert_eq!(
            line(&format),
            "2026-11-24T21:13:15.042Z 127.0.0.1 200 {nothing} - app-1\n"
        );
        assert!(!format.wants_visitor());
        assert!(Format::template("{user-agent}").wants_visitor());
        assert_eq!(line(&Format::Off), "");
        for name in super::NAMES {
            let text = line(&Format::template(&format!("{{{name}}}")));
            assert!(text.len() > 1, "{name} says nothing");
        }
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(super::date(0), (1970, 1, 1));
        assert_eq!(super::date(11_016), (2000, 2, 29));
        assert_eq!(super::date(20_781), (2026, 11, 24));
    }
}
