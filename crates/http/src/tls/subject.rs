//! Pure: the subject of a certificate as text (RFC 4514), made so that no certificate can break a line
//! of a log or a field of a head: everything but printable ASCII is escaped.

use std::fmt::Write as _;

use x509_parser::oid_registry::Oid;
use x509_parser::x509::X509Name;

/// `CN=Alice,O=Foobar Inc,C=DE`: the most specific part first. `None`: it cannot be read.
pub fn of(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(text(parsed.subject()))
}

fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let values: Vec<String> = rdn
                .iter()
                .map(|attribute| {
                    let value = attribute.as_str().unwrap_or_default();
                    format!("{}={}", key(attribute.attr_type()), escape(value))
                })
                .collect();
            values.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// RFC 4514 section 3 has these; every other type is written as its number.
fn key(oid: &Oid<'_>) -> String {
    let number = oid.to_id_string();
    let short = match number.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return number,
    };
    short.to_owned()
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let at_edge = at == 0 && matches!(byte, b' ' | b'#') || at == last && byte == b' ';
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' if !at_edge => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => write!(out, "\\{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_breaks_a_line() {
        assert_eq!(escape("Alice"), "Alice");
        assert_eq!(escape("a, b+c"), "a\\, b\\+c");
        assert_eq!(escape("x\r\nX-Admin: 1"), "x\\0D\\0AX-Admin: 1");
        assert_eq!(escape(" #"), "\\20#");
        assert_eq!(escape("ä"), "\\C3\\A4");
        assert_eq!(escape(""), "");
    }

    #[test]
    fn a_subject_is_written_from_its_specific_end() {
        let mut parameters = rcgen::CertificateParams::new(vec!["x.test".to_owned()]).unwrap();
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CountryName, "DE");
        name.push(rcgen::DnType::OrganizationName, "Foobar, Inc");
        name.push(rcgen::DnType::CommonName, "Alice");
        parameters.distinguished_name = name;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(
            of(certificate.der()).as_deref(),
            Some("CN=Alice,O=Foobar\\, Inc,C=DE")
        );
        assert_eq!(of(b"x"), None);
    }
}
