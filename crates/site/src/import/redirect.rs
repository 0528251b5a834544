//! Pure: `redirect` in all its forms → a URL with `{names}`, or the whole site sent to HTTPS.
//!
//! Source: HAProxy configuration manual, section 4.2, `redirect`.

use super::cells::Action;
use super::format::{self, Place};
use super::ledger::Unfit;
use super::rules::What;

pub(super) fn redirect(rest: &[&str]) -> Result<What, Unfit> {
    let (mut status, mut query, mut target) = (302, true, None);
    let mut options = rest.iter().copied();
    while let Some(option) = options.next() {
        match option {
            "code" => {
                let code = options.next().unwrap_or_default();
                status = code
                    .parse()
                    .ok()
                    .filter(|code| [301, 302, 303, 307, 308].contains(code))
                    .ok_or_else(|| {
                        Unfit::new(
                            format!("`{code}` is no status of a redirect"),
                            "status = 308",
                        )
                    })?;
            }
            "scheme" | "prefix" | "location" => {
                target = options.next().map(|value| (option, value))
            }
            "drop-query" => query = false,
            "keep-query" => {}
            other => {
                return Err(Unfit::new(
                    format!("a redirect has no `{other}`"),
                    "redirect without it",
                ));
            }
        }
    }
    let (kind, value) = target.ok_or_else(no_redirect)?;
    let rest = if query { "{path}{query}" } else { "{path}" };
    let to = match kind {
        "scheme" if value == "https" => return Ok(What::ToHttps(status)),
        "scheme" if value == "http" => "http://{host}{path}{query}".to_owned(),
        "prefix" => format!(
            "{}{rest}",
            format::text(value, Place::Redirect)?.trim_end_matches('/')
        ),
        "location" => format::text(value, Place::Redirect)?,
        _ => return Err(no_redirect()),
    };
    let absolute = ["http://", "https://"]
        .iter()
        .any(|start| to.starts_with(start));
    let local = to.starts_with('/') && !to.starts_with("//") || to.starts_with("{path}");
    if !(absolute || local) || to.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Unfit::new(
            format!("`{to}` is no URL and no path"),
            "redirect = \"https://www.foobar.com{path}{query}\"",
        ));
    }
    Ok(What::Stop(Action::Redirect { to, status }))
}

fn no_redirect() -> Unfit {
    Unfit::new(
        "a redirect is to a scheme, a prefix or a location",
        "redirect = \"https://www.foobar.com{path}{query}\"",
    )
}
