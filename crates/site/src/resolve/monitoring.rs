//! Pure: `[monitoring]` and `[alerts]`.

use crate::at::At;
use crate::problem::Code;
use crate::resolve::environment::variable;
use crate::resolve::setting::or;
use crate::source::Problems;
use crate::topology::{Alerts, EnvValue, Monitoring, Webhook};
use crate::written::Written;

/// Among the ports where Prometheus' exporters listen (9100 and up), clear of the common ones.
const ADMIN_PORT: u16 = 9400;

pub(super) fn resolve(written: &Written, _problems: &mut Problems<'_>) -> Monitoring {
    let section = written.monitoring.as_ref().map(|at| &at.value);
    Monitoring {
        port: or(section.and_then(|s| s.port.as_ref()), ADMIN_PORT),
    }
}

pub(super) fn alerts(written: &Written, problems: &mut Problems<'_>) -> Alerts {
    let section = written.alerts.as_ref().map(|at| &at.value);
    let list = section.and_then(|alerts| alerts.webhook.as_ref());
    if let Some(list) = list.filter(|list| list.value.is_empty()) {
        let what = "`webhook` is empty, so nobody would be told";
        let write = "webhook = [\"https://alerts.foobar.com/mainstay\"], or no [alerts] at all";
        problems.add(Code::Missing, &list.span, what, write);
    }
    let mut webhooks = Vec::new();
    for written in list.iter().flat_map(|list| &list.value) {
        let url = variable("webhook", written, problems);
        let At { span, .. } = written;
        if let EnvValue::Plain(text) = &url
            && !is_web_url(text)
        {
            let what = format!("`{text}` is no web address");
            problems.add(
                Code::BadValue,
                span,
                what,
                "a URL that begins with https://",
            );
        }
        webhooks.push(Webhook {
            url,
            at: problems.source.place(span.start),
        });
    }
    Alerts { webhooks }
}

/// `http://` or `https://`, a host, nothing that cannot stand in a request.
pub(super) fn is_web_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    // 2048: longer addresses are refused by common servers.
    !host.is_empty() && text.len() <= 2048 && text.chars().all(|c| c.is_ascii_graphic())
}
