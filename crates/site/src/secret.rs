//! Pure: does a value look like a secret? The site file is read by many people and kept in version
//! control, so secrets are named in it and kept elsewhere.

/// Names of environment variables that hold secrets by their last word.
const LAST_WORDS: [&str; 8] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIALS",
    "SALT",
];

/// The same by any word in them: `SECRET_KEY_BASE`.
const ANY_WORD: [&str; 3] = ["PASSWORD", "SECRET", "PASSPHRASE"];

/// Names that end like a secret and are none.
const HARMLESS: [&str; 6] = [
    "PUBLIC_KEY",
    "PUBLISHABLE_KEY",
    "SITE_KEY",
    "CACHE_KEY",
    "PARTITION_KEY",
    "PRIMARY_KEY",
];

/// Whether a variable of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if HARMLESS.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let words: Vec<&str> = name.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    LAST_WORDS.contains(&last) || words.iter().any(|word| ANY_WORD.contains(word))
}

/// Whether the value shows by itself that it is one: a URL with a password, a private key.
pub(crate) fn is_secret_value(value: &str) -> bool {
    has_password(value) || value.contains("PRIVATE KEY-----")
}

/// `scheme://user:password@host`.
pub(crate) fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    user.split_once(':')
        .is_some_and(|(_, password)| !password.is_empty())
}

/// `MAIL_PASSWORD` → `mail-password`: what to call the secret.
pub(crate) fn proposed_name(variable: &str) -> String {
    crate::domain::as_label(variable).unwrap_or_else(|| "my-secret".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "MAIL_PASSWORD",
            "SECRET_KEY_BASE",
            "API_TOKEN",
            "STRIPE_KEY",
            "password",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "RAILS_ENV",
            "STRIPE_PUBLIC_KEY",
            "KEYBOARD",
            "MONKEY",
            "TOKENS_PER_DAY",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn urls_with_passwords_are_known() {
        assert!(is_secret_value("redis://app:s3cret@cache:6379/0"));
        assert!(!is_secret_value("redis://cache:6379/0"));
        assert!(!is_secret_value("https://foobar.com/a@b:c"));
        assert!(!is_secret_value("redis://app@cache"));
        assert!(is_secret_value("-----BEGIN RSA PRIVATE KEY-----\n"));
    }
}
