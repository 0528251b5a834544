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

pub(super) const NO_TOKEN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
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

/// What those without the token see. It has its style in it, since they get no other file, and nothing
/// that anybody else wrote.
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

/// For every answer that has none of its own. Nothing is kept: the page is small, and what it shows is old in a second.
pub(super) fn guard(headers: &mut HeaderMap) {
    let headers_of_all = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in headers_of_all {
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::ASSETS;

    /// Names in a site file and reasons of processes can hold anything: they must enter the page as
    /// text. And the policy above forbids what is inline or from elsewhere, silently.
    #[test]
    fn the_page_makes_no_markup_of_text_and_asks_nobody_else() {
        let markup = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ];
        let inline = [
            " style=",
            " onclick=",
            "<style",
            "javascript:",
            "//cdn",
            "@import",
        ];
        for asset in ASSETS {
            for forbidden in markup.iter().chain(&inline) {
                assert!(
                    !asset.text.contains(forbidden),
                    "{}: {forbidden}",
                    asset.path
                );
            }
            let elsewhere = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !elsewhere.contains("http://") && !elsewhere.contains("https://"),
                "{}",
                asset.path
            );
        }
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for asset in ASSETS {
            let imported = asset.text.split("from \"./").skip(1);
            for name in imported.filter_map(|rest| rest.split('"').next()) {
                let path = format!("/{name}");
                assert!(
                    ASSETS.iter().any(|asset| asset.path == path),
                    "{}: {name}",
                    asset.path
                );
            }
        }
    }
}
