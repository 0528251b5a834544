//! Pure: the files of the page, inside the binary, and the headers that keep it to itself.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse;

/// Nothing from anywhere else, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// One file: its path, its type, its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

pub(super) const ASSETS: [Asset; 10] = [
    asset("/", HTML, include_str!("assets/page.html")),
    asset("/page.css", CSS, include_str!("assets/page.css")),
    asset("/page.js", JS, include_str!("assets/page.js")),
    asset("/picture.js", JS, include_str!("assets/picture.js")),
    asset("/layout.js", JS, include_str!("assets/layout.js")),
    asset("/charts.js", JS, include_str!("assets/charts.js")),
    asset("/tables.js", JS, include_str!("assets/tables.js")),
    asset("/elements.js", JS, include_str!("assets/elements.js")),
    asset("/words.js", JS, include_str!("assets/words.js")),
    asset("/icon.svg", SVG, include_str!("assets/icon.svg")),
];

/// What those without the token see; it needs nothing else, not even the style.
pub(super) const NO_TOKEN: &str = include_str!("assets/no_token.html");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const fn asset(path: &'static str, kind: &'static str, text: &'static str) -> Asset {
    Asset { path, kind, text }
}

impl IntoResponse for Asset {
    fn into_response(self) -> axum::response::Response {
        ([(CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}

/// For every answer. Nothing is kept: the page is small, and what it shows is old in a second.
pub(super) fn guard(headers: &mut HeaderMap) {
    let headers_of_all = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in headers_of_all {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
