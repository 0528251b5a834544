//! Pure: text with `{names}` in it, as a person writes it for headers, redirects and paths. Taken apart
//! once per snapshot; what stands for a name is decided by those who expand it. `{{` and `}}` are
//! braces.

/// A part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    Name(Name),
}

/// What may stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Client,
    Host,
    Scheme,
    RequestId,
    Route,
    Path,
    /// With its `?`.
    Query,
    /// Of the route's pattern, from 1.
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("{text:?}: a brace that is not closed or not opened; `{{{{` and `}}}}` are braces")]
    Brace { text: String },
    #[error("{{{name}}} means nothing here; there are {known}")]
    Name { name: String, known: String },
    #[error("{{{number}}}: the route's pattern has {groups} groups")]
    Group { number: usize, groups: usize },
}

impl Name {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "client" => Self::Client,
            "host" => Self::Host,
            "scheme" => Self::Scheme,
            "request-id" => Self::RequestId,
            "route" => Self::Route,
            "path" => Self::Path,
            "query" => Self::Query,
            digit => match digit.parse() {
                Ok(number @ 1..=crate::pattern::GROUPS) => Self::Group(number),
                _ => return None,
            },
        })
    }
}

/// `known`: the names that mean something here; `groups`: how many the route's pattern has.
pub(crate) fn pieces(text: &str, known: &[&str], groups: usize) -> Result<Vec<Piece>, BadTemplate> {
    let brace = || BadTemplate::Brace {
        text: text.to_owned(),
    };
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, found) = rest.split_at_checked(at).ok_or_else(brace)?;
        plain.push_str(before);
        if let Some(after) = found.strip_prefix("{{") {
            plain.push('{');
            rest = after;
        } else if let Some(after) = found.strip_prefix("}}") {
            plain.push('}');
            rest = after;
        } else {
            let inner = found.strip_prefix('{').ok_or_else(brace)?;
            let (name, after) = inner.split_once('}').ok_or_else(brace)?;
            let meant = Name::of(name).filter(|meant| {
                known.contains(&name) || matches!(meant, Name::Group(_)) && groups > 0
            });
            match meant {
                Some(Name::Group(number)) if number > groups => {
                    return Err(BadTemplate::Group { number, groups });
                }
                Some(meant) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                    }
                    pieces.push(Piece::Name(meant));
                }
                None => {
                    let mut known: Vec<String> =
                        known.iter().map(|name| format!("{{{name}}}")).collect();
                    known.extend((1..=groups).map(|number| format!("{{{number}}}")));
                    return Err(BadTemplate::Name {
                        name: name.to_owned(),
                        known: known.join(", "),
                    });
                }
            }
            rest = after;
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_names() {
        let of = |text: &str| pieces(text, &["host", "path"], 1);
        let text = |text: &str| Piece::Text(text.into());
        assert_eq!(
            of("https://{host}{path}/{1}{{x}}"),
            Ok(vec![
                text("https://"),
                Piece::Name(Name::Host),
                Piece::Name(Name::Path),
                text("/"),
                Piece::Name(Name::Group(1)),
                text("{x}"),
            ])
        );
        assert_eq!(of(""), Ok(vec![]));
    }

    #[test]
    fn mistakes_say_what_there_is() {
        let of = |text: &str| pieces(text, &["host", "path"], 1).unwrap_err().to_string();
        assert_eq!(
            of("{ho}"),
            "{ho} means nothing here; there are {host}, {path}, {1}"
        );
        assert_eq!(
            of("{query}"),
            "{query} means nothing here; there are {host}, {path}, {1}"
        );
        assert_eq!(of("{2}"), "{2}: the route's pattern has 1 groups");
        assert_eq!(
            of("a{b"),
            "\"a{b\": a brace that is not closed or not opened; `{{` and `}}` are braces"
        );
        assert!(pieces("a}b", &[], 0).is_err());
        assert!(pieces("{1}", &[], 0).is_err());
        assert!(pieces("{0}", &[], 9).is_err());
    }
}
