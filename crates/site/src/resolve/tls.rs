//! Pure: `[tls]`: who signs the certificates.

use std::time::Duration;

use crate::at::At;
use crate::domain::is_private;
use crate::problem::Code;
use crate::resolve::setting::{duration, or};
use crate::source::Problems;
use crate::topology::{Authority, Tls};
use crate::written::Written;

pub(super) fn resolve(
    written: &Written,
    domains: &[String],
    problems: &mut Problems<'_>,
) -> Option<Tls> {
    let At {
        value: section,
        span,
    } = written.tls.as_ref()?;
    let authority = or(section.authority.as_ref(), Authority::Acme);
    let private = domains.iter().find(|domain| is_private(domain));
    if let (Authority::Acme, Some(domain)) = (authority, private) {
        let what = format!("no public authority certifies `{domain}`, which is not a public name");
        let at = section.authority.as_ref().map_or(span, |at| &at.span);
        problems.add(
            Code::Conflict,
            at,
            what,
            "authority = \"local\", or only public domains",
        );
    }
    if let Some(At { value: email, span }) = &section.email {
        let parts: Vec<&str> = email.split('@').collect();
        let plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
        let fits =
            matches!(parts.as_slice(), [user, host] if !user.is_empty() && host.contains('.'));
        if !plain || !fits {
            let what = format!("`{email}` is no e-mail address");
            problems.add(Code::BadValue, span, what, "email = \"ops@foobar.com\"");
        }
    }
    Some(Tls {
        authority,
        redirect: or(section.redirect.as_ref(), true),
        hsts: section.hsts.as_ref().map(|at| {
            let day = Duration::from_secs(86_400);
            // Two years is what the preload list wants; longer is a mistake that cannot be undone.
            duration("hsts", Some(at), day, Duration::ZERO..=day * 730, problems)
        }),
        email: section.email.as_ref().map(|at| at.value.clone()),
        at: problems.source.place(span.start),
    })
}
