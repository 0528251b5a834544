//! Pure: one line of JSON per exchange.

/// What is known of an exchange when it is over. All text is borrowed: nothing is copied to log it.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    pub request_id: &'a str,
    pub client: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    pub method: &'a str,
    pub target: &'a str,
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

impl Exchange<'_> {
    /// Appends one JSON object and a line feed.
    pub fn write_line(&self, out: &mut String) {
        out.push_str("{\"at\":");
        number(out, self.at_ms);
        text(out, ",\"id\":\"", self.request_id);
        text(out, ",\"client\":\"", self.client);
        text(out, ",\"scheme\":\"", self.scheme);
        text(out, ",\"host\":\"", self.host);
        text(out, ",\"method\":\"", self.method);
        text(out, ",\"target\":\"", self.target);
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
    use super::Exchange;

    #[test]
    fn a_line_is_valid_json_whatever_the_client_sends() {
        let exchange = Exchange {
            at_ms: 1,
            request_id: "r",
            client: "127.0.0.1",
            scheme: "http",
            host: "a\"b\\c",
            method: "GET",
            target: "/\u{1}\n\u{7f}é",
            status: 200,
            bytes: 3,
            duration_us: 4,
            reason: "",
            route: "site",
            backend: "web",
            endpoint: "app-1",
            attempts: 1,
            fault: "reset",
        };
        let mut line = String::new();
        exchange.write_line(&mut line);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["host"], "a\"b\\c");
        assert_eq!(value["target"], "/\u{1}\n\u{7f}é");
    }
}
