//! Pure: `[app.env]`: variables for the application, and the rule that secrets are named, not written.

use std::collections::BTreeMap;

use crate::at::{At, Span};
use crate::domain::is_label;
use crate::hint::quoted;
use crate::problem::Code;
use crate::secret::{is_secret_name, is_secret_value, proposed_name};
use crate::source::Problems;
use crate::spelling::{Scalar, Value};
use crate::target::SECRET_PREFIX;
use crate::topology::EnvValue;

/// What Mainstay sets itself.
const OURS: [&str; 6] = [
    "PORT",
    "HOST",
    "SOCKET",
    "DATABASE_URL",
    "LISTEN_FDS",
    "LISTEN_PID",
];

pub(super) fn resolve(
    written: Option<&BTreeMap<At<String>, At<Value>>>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, EnvValue> {
    let mut env = BTreeMap::new();
    for (name, value) in written.into_iter().flatten() {
        check_name(name, problems);
        let value = variable(&name.value, value, problems);
        env.insert(name.value.clone(), value);
    }
    env
}

/// A value, or the reference to a secret (also used for webhooks, by the name `webhook`).
pub(super) fn variable(
    name: &str,
    At { value, span }: &At<Value>,
    problems: &mut Problems<'_>,
) -> EnvValue {
    match value {
        Value::Secret(secret) => {
            check_secret_name(secret, problems);
            EnvValue::Secret(secret.value.clone())
        }
        Value::Plain(plain) => {
            check_plain(name, plain, span, problems);
            EnvValue::Plain(plain.to_string())
        }
    }
}

/// Only the reference to a secret; `proposed`: what to call it.
pub(super) fn secret(
    key: &str,
    proposed: &str,
    At { value, span }: &At<Value>,
    problems: &mut Problems<'_>,
) -> Option<String> {
    match value {
        Value::Secret(secret) => {
            check_secret_name(secret, problems);
            Some(secret.value.clone())
        }
        Value::Plain(_) => {
            let what = format!("`{key}` is a secret, and many people read this file");
            let write = format!("{key} = {{ secret = {} }}", quoted(proposed));
            problems.add(Code::SecretInFile, span, what, write);
            None
        }
    }
}

fn check_name(At { value: name, span }: &At<String>, problems: &mut Problems<'_>) {
    let first = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let all = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !first || !all {
        let what = format!("`{name}` is no name of an environment variable");
        problems.add(
            Code::BadValue,
            span,
            what,
            "letters, digits and `_`, like RAILS_ENV",
        );
    } else if OURS.contains(&name.as_str()) || name.starts_with("MAINSTAY_") {
        let what = format!("`{name}` is set by Mainstay itself");
        problems.add(
            Code::Conflict,
            span,
            what,
            "nothing here: the application is given the right value",
        );
    }
}

/// Also the name of a file, so it is a plain label.
fn check_secret_name(At { value: name, span }: &At<String>, problems: &mut Problems<'_>) {
    if !is_label(name) {
        let what = format!("the secret's name `{name}` may have only a-z, 0-9 and `-` inside");
        let write = format!("{{ secret = {} }}", quoted(&proposed_name(name)));
        problems.add(Code::BadValue, span, what, write);
    }
}

fn check_plain(name: &str, value: &Scalar, at: &Span, problems: &mut Problems<'_>) {
    let text = value.to_string();
    let named_so = is_secret_name(name) && matches!(value, Scalar::Text(_)) && !text.is_empty();
    let why = match () {
        () if is_secret_value(&text) => Some("holds a password or key"),
        () if named_so => Some("looks like a secret"),
        () => None,
    };
    if let Some(why) = why {
        let what = format!("`{name}` {why}, and many people read this file");
        let write = format!("{{ secret = {} }}", quoted(&proposed_name(name)));
        problems.add(Code::SecretInFile, at, what, write);
    } else if let Some(secret) = text.strip_prefix(SECRET_PREFIX) {
        let what = format!("a value may not begin with `{SECRET_PREFIX}`");
        let write = format!("{{ secret = {} }}", quoted(secret));
        problems.add(Code::BadValue, at, what, write);
    } else if text.contains('\0') {
        let what = format!("`{name}` has a NUL character in it");
        problems.add(Code::BadValue, at, what, "the value without it");
    }
}
