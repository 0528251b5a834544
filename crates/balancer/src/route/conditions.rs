//! Pure: what a route asks for besides host and path.

use std::borrow::Cow;
use std::fmt;

use http::head::Fields;
use site::target::balancer::{Match, ValueIs, ValueMatch};

use super::facts::Facts;
use super::path::escape;
use crate::hash;
use crate::networks::Networks;
use crate::pattern::{BadPattern, Pattern};

/// The compiled form; all must hold.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Box<[Box<str>]>,
    headers: Box<[Value]>,
    query: Box<[Value]>,
    from: Option<Networks>,
    percent: Option<u8>,
}

#[derive(Debug)]
struct Value {
    name: Box<str>,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Present,
    Exactly(Box<[u8]>),
    Matching(Pattern),
}

/// Why a route does not take a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    Host,
    Path,
    Method,
    Header(String),
    Query(String),
    From,
    /// The client is not one of so many of a hundred.
    Percent(u8),
    /// It would, but another one comes first.
    After {
        route: String,
    },
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("it is for other hosts"),
            Self::Path => f.write_str("it is for other paths"),
            Self::Method => f.write_str("it is for other methods"),
            Self::Header(name) => write!(f, "the header {name} is not as it asks"),
            Self::Query(name) => write!(f, "the query parameter {name} is not as it asks"),
            Self::From => f.write_str("it is for clients of other networks"),
            Self::Percent(percent) => {
                write!(f, "this client is not one of its {percent} of a hundred")
            }
            Self::After { route } => write!(f, "route {route} comes first"),
        }
    }
}

impl Conditions {
    pub(super) fn new(when: &Match) -> Result<Self, BadPattern> {
        let values = |list: &[ValueMatch]| list.iter().map(Value::new).collect::<Result<_, _>>();
        Ok(Self {
            methods: when
                .methods
                .iter()
                .map(|method| method.as_str().into())
                .collect(),
            headers: values(&when.headers)?,
            query: values(&when.query)?,
            from: (!when.from.is_empty()).then(|| Networks::new(&when.from)),
            percent: when.percent,
        })
    }

    /// How many there are: a route that asks for more is looked at first.
    pub(super) fn count(&self) -> usize {
        usize::from(!self.methods.is_empty())
            + self.headers.len()
            + self.query.len()
            + usize::from(self.from.is_some())
            + usize::from(self.percent.is_some())
    }

    pub(super) fn hold(&self, facts: &Facts<'_>) -> bool {
        self.has_method(facts.method)
            && self
                .headers
                .iter()
                .all(|header| header.in_fields(facts.fields))
            && self
                .query
                .iter()
                .all(|parameter| parameter.in_query(facts.query))
            && self.has_client(facts)
            && self.has_part(facts)
    }

    /// The first that does not.
    pub(super) fn miss(&self, facts: &Facts<'_>) -> Option<Miss> {
        if !self.has_method(facts.method) {
            return Some(Miss::Method);
        }
        if let Some(header) = self
            .headers
            .iter()
            .find(|value| !value.in_fields(facts.fields))
        {
            return Some(Miss::Header(header.name.to_string()));
        }
        if let Some(parameter) = self.query.iter().find(|value| !value.in_query(facts.query)) {
            return Some(Miss::Query(parameter.name.to_string()));
        }
        if !self.has_client(facts) {
            return Some(Miss::From);
        }
        self.percent
            .filter(|_| !self.has_part(facts))
            .map(Miss::Percent)
    }

    fn has_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|wanted| **wanted == *method)
    }

    fn has_client(&self, facts: &Facts<'_>) -> bool {
        self.from
            .as_ref()
            .is_none_or(|from| from.contains(facts.client))
    }

    /// Without a salt: two routes of one trial take the same clients.
    fn has_part(&self, facts: &Facts<'_>) -> bool {
        self.percent.is_none_or(|percent| {
            hash::share(hash::of_client(facts.client), 100) < usize::from(percent)
        })
    }
}

impl Value {
    fn new(value: &ValueMatch) -> Result<Self, BadPattern> {
        Ok(Self {
            name: value.name.as_str().into(),
            is: match &value.value {
                ValueIs::Present => Is::Present,
                ValueIs::Exactly(text) => Is::Exactly(text.as_bytes().into()),
                ValueIs::Matching(pattern) => Is::Matching(Pattern::new(pattern)?),
            },
        })
    }

    /// Any of the lines with this name will do.
    fn in_fields(&self, fields: Fields<'_, '_>) -> bool {
        fields
            .all(&self.name)
            .any(|value| self.is.true_of(value.trim_ascii()))
    }

    /// Any of the parameters with this name will do, decoded as forms write them
    /// (application/x-www-form-urlencoded, URL Standard section 5.1).
    fn in_query(&self, query: &str) -> bool {
        query.split('&').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            !parameter.is_empty()
                && *decoded(name) == *self.name.as_bytes()
                && self.is.true_of(&decoded(value))
        })
    }
}

impl Is {
    fn true_of(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exactly(text) => **text == *value,
            Self::Matching(pattern) => pattern.matches(value),
        }
    }
}

/// Copies only what has to change.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => match escape(*high, *low) {
                Some(byte) => (byte, after),
                None => (b'%', tail),
            },
            (b'+', tail) => (b' ', tail),
            (byte, tail) => (*byte, tail),
        };
        out.push(byte);
        rest = tail;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_in_every_spelling() {
        let exactly = |name: &str, value: &str| Value {
            name: name.into(),
            is: Is::Exactly(value.as_bytes().into()),
        };
        assert!(exactly("a", "b c").in_query("x=1&a=b+c"));
        assert!(exactly("a", "b c").in_query("%61=b%20c"));
        assert!(exactly("a", "2").in_query("a=1&a=2"));
        assert!(exactly("a", "%zz").in_query("a=%zz"));
        assert!(exactly("a", "").in_query("a"));
        assert!(!exactly("a", "").in_query(""));
        assert!(!exactly("a", "1").in_query("A=1"));
    }
}
