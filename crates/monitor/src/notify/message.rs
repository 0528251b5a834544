//! Pure: what a webhook is sent. Its fields are a promise to receivers.

use jiff::Timestamp;
use serde::Serialize;
use telemetry::Severity;

use crate::alert::rules::Kind;
use crate::alert::state::{Alert, Phase};

/// The body of a post.
#[derive(Debug, Serialize)]
pub(crate) struct Message<'a> {
    site: &'a str,
    alert: Kind,
    /// Of the same fault in both its messages; with `since` unique, for receivers that must not count
    /// a repeated delivery twice.
    id: &'a str,
    state: Phase,
    severity: Severity,
    subject: &'a str,
    what: &'a str,
    next: &'a str,
    /// RFC 3339, UTC.
    since: String,
    until: Option<String>,
    /// All of it as text: what Slack, Mattermost and the like show.
    text: String,
}

pub(crate) fn message<'a>(site: &'a str, alert: &'a Alert) -> Message<'a> {
    Message {
        site,
        alert: alert.alert,
        id: &alert.id,
        state: alert.state,
        severity: alert.severity,
        subject: &alert.subject,
        what: &alert.what,
        next: alert.next,
        since: time(alert.since_ms),
        until: alert.until_ms.map(time),
        text: text(site, alert),
    }
}

fn text(site: &str, alert: &Alert) -> String {
    let Alert { what, next, .. } = alert;
    match alert.until_ms {
        None => {
            let word = match alert.severity {
                Severity::Error => "FIRING",
                _ => "warning",
            };
            format!("[{site}] {word}: {what}\n{next}")
        }
        Some(_) if alert.stopped => {
            format!("[{site}] closed, the site was stopped: {what}")
        }
        Some(until) => {
            let lasted = length(until.saturating_sub(alert.since_ms));
            format!("[{site}] over after {lasted}: {what}")
        }
    }
}

/// To the second; people add up the rest.
fn length(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn time(ms: u64) -> String {
    let timestamp = i64::try_from(ms).map(Timestamp::from_millisecond);
    match timestamp {
        Ok(Ok(timestamp)) => timestamp.to_string(),
        // A year after 9999: the clock is wrong.
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            id: "endpoint-down:endpoint app-1".into(),
            alert: Kind::EndpointDown,
            state: Phase::Firing,
            severity: Severity::Error,
            subject: "endpoint app-1".into(),
            what: "endpoint app-1 is down for lb-1: refused".into(),
            next: "Run `mainstay status`.",
            since_ms: 1_700_000_000_000,
            until_ms: None,
            stopped: false,
        }
    }

    #[test]
    fn firing() {
        let value = serde_json::to_value(message("foobar", &alert())).unwrap();
        let expected = serde_json::json!({
            "site": "foobar",
            "alert": "endpoint-down",
            "id": "endpoint-down:endpoint app-1",
            "state": "firing",
            "severity": "error",
            "subject": "endpoint app-1",
            "what": "endpoint app-1 is down for lb-1: refused",
            "next": "Run `mainstay status`.",
            "since": "2023-11-14T22:13:20Z",
            "until": null,
            "text": "[foobar] FIRING: endpoint app-1 is down for lb-1: refused\nRun `mainstay status`.",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn resolved() {
        let alert = Alert {
            state: Phase::Resolved,
            until_ms: Some(1_700_000_075_500),
            ..alert()
        };
        let value = serde_json::to_value(message("foobar", &alert)).unwrap();
        assert_eq!(value["state"], "resolved");
        assert_eq!(value["until"], "2023-11-14T22:14:35.5Z");
        assert_eq!(
            value["text"],
            "[foobar] over after 1 min 15 s: endpoint app-1 is down for lb-1: refused"
        );
    }
}
