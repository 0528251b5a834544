//! Pure: the ordered field list of a head, looked up without regard to case (RFC 9110 section 5.1).

/// Borrowed from the bytes of one head.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'h, 'b>(pub(crate) &'h [httparse::Header<'b>]);

impl<'h, 'b> Fields<'h, 'b> {
    /// Name and value of each, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'b str, &'b [u8])> + 'h {
        self.0.iter().map(|field| (field.name, field.value))
    }

    /// The first value with this name.
    pub fn get(self, name: &str) -> Option<&'b [u8]> {
        self.0
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The first value with this name, when it is text.
    pub fn text(self, name: &str) -> Option<&'b str> {
        self.get(name)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::trim)
    }

    /// Every value with this name.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// Whether a comma-separated list field has `token`, in any of its lines.
    pub fn has_token(self, name: &str, token: &str) -> bool {
        self.all(name).any(|value| list_has(value, token))
    }
}

/// Whether a comma-separated list has `token`, without regard to case.
pub fn list_has(value: &[u8], token: &str) -> bool {
    value
        .split(|b| *b == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
