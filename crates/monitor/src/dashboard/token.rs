//! Pure: whether somebody who asks has the token, and how it is kept.
//!
//! The link has it in its query. A page opened by it gets a cookie and is sent on to the bare address,
//! so that the token stays out of the browser's history, of screenshots and of `Referer`.

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Uri};
use subtle::ConstantTimeEq;
use telemetry::Secret;

/// What a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The token, in the link: to be kept in a cookie.
    InLink,
    /// The token, in the cookie or as a bearer's.
    Valid,
    /// A token that is not ours.
    Wrong,
    Nothing,
}

/// Cookies do not know ports: two sites on one address keep apart by name.
pub(crate) fn cookie_name(site: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let site: String = site.chars().filter(|c| allowed(*c)).collect();
    format!("mainstay-{site}")
}

pub(crate) fn shown(uri: &Uri, headers: &HeaderMap, cookie: &str, token: &Secret) -> Shown {
    let ours = |given: &str| bool::from(given.as_bytes().ct_eq(token.expose().as_bytes()));
    let mut shown = Shown::Nothing;
    for (given, when_ours) in in_link(uri)
        .map(|given| (given, Shown::InLink))
        .into_iter()
        .chain(bearer(headers).map(|given| (given, Shown::Valid)))
        .chain(in_cookie(headers, cookie).map(|given| (given, Shown::Valid)))
    {
        if ours(given) {
            return when_ours;
        }
        shown = Shown::Wrong;
    }
    shown
}

/// The path and query without the token.
pub(crate) fn bare(uri: &Uri) -> String {
    // One slash: two would name another host.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    let rest: Vec<&str> = pairs(uri)
        .filter(|pair| token_of(pair).is_none() && !pair.is_empty())
        .collect();
    if rest.is_empty() {
        path
    } else {
        format!("{path}?{}", rest.join("&"))
    }
}

fn in_link(uri: &Uri) -> Option<&str> {
    pairs(uri).find_map(token_of)
}

fn pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().into_iter().flat_map(|query| query.split('&'))
}

fn token_of(pair: &str) -> Option<&str> {
    pair.strip_prefix("token=")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn in_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(uri: &str, headers: &[(&'static str, &str)]) -> Shown {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        shown(
            &uri.parse().unwrap(),
            &map,
            "mainstay-foobar",
            &Secret::new("0123abcd"),
        )
    }

    #[test]
    fn the_token_is_taken_from_the_link_the_cookie_or_the_bearer() {
        assert_eq!(look("/", &[]), Shown::Nothing);
        assert_eq!(look("/?token=0123abcd", &[]), Shown::InLink);
        assert_eq!(look("/?a=b&token=0123abcd", &[]), Shown::InLink);
        assert_eq!(look("/?token=0123abc", &[]), Shown::Wrong);
        assert_eq!(look("/?token=", &[]), Shown::Wrong);
        assert_eq!(
            look("/", &[("authorization", "bearer 0123abcd")]),
            Shown::Valid
        );
        assert_eq!(
            look("/", &[("authorization", "Basic 0123abcd")]),
            Shown::Nothing
        );
        let cookie = |value| look("/", &[("cookie", value)]);
        assert_eq!(cookie("a=b; mainstay-foobar=0123abcd"), Shown::Valid);
        assert_eq!(cookie("mainstay-foobar2=0123abcd"), Shown::Nothing);
        assert_eq!(cookie("mainstay-foobar=0123abcd0"), Shown::Wrong);
    }

    #[test]
    fn an_old_link_does_not_lock_out_who_has_the_cookie() {
        let cookie = ("cookie", "mainstay-foobar=0123abcd");
        assert_eq!(look("/?token=old", &[cookie]), Shown::Valid);
    }

    #[test]
    fn the_bare_address_has_no_token_and_no_other_host() {
        let bare = |uri: &str| bare(&uri.parse().unwrap());
        assert_eq!(bare("/?token=x"), "/");
        assert_eq!(bare("/events.json?count=5&token=x"), "/events.json?count=5");
        assert_eq!(bare("//evil.example/?token=x"), "/evil.example/");
    }

    #[test]
    fn cookies_are_named_by_site() {
        assert_eq!(cookie_name("foobar"), "mainstay-foobar");
        assert_eq!(cookie_name("a;b=c"), "mainstay-abc");
    }
}
