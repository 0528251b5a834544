//! The slow log: statements that took long, a JSON object a line. Sessions hand lines over and never
//! wait; one thread writes them, and what it cannot take is counted and dropped.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use process::snapshot::Shared;
use telemetry::rotating_file::{FILE_LIMIT, RotatingFile};

use crate::limits::SLOW_QUEUE;
use crate::snapshot::Snapshot;

/// Where a thread puts its lines.
#[derive(Debug, Clone)]
pub(crate) struct SlowLog(SyncSender<String>);

impl SlowLog {
    /// Starts the thread that writes. It ends when every `SlowLog` is gone.
    pub(crate) fn start(snapshot: Shared<Snapshot>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (to, lines) = sync_channel(SLOW_QUEUE);
        let thread = std::thread::Builder::new()
            .name("sql-router-slow".to_owned())
            .spawn(move || write(&lines, &snapshot))?;
        Ok((Self(to), thread))
    }

    /// False: there was no room for it.
    pub(crate) fn put(&self, line: String) -> bool {
        match self.0.try_send(line) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

fn write(lines: &Receiver<String>, snapshot: &Shared<Snapshot>) {
    let mut file = RotatingFile::default();
    // A full disk is told when it begins, not for every line.
    let mut failing = false;
    while let Ok(mut text) = lines.recv() {
        // All that has collected, in one call.
        text.extend(lines.try_iter().take(SLOW_QUEUE));
        let path = &snapshot.load().slow_log;
        let written = file.append(path, &text, FILE_LIMIT);
        if let Err(e) = &written
            && !failing
        {
            tracing::error!("slow log {}: {e}", path.display());
        }
        failing = written.is_err();
    }
}

/// What is known of a slow statement.
#[derive(Debug)]
pub(crate) struct Slow<'a> {
    /// Wall clock, milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) client: IpAddr,
    pub(crate) user: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) time: Duration,
    pub(crate) rows: u64,
    pub(crate) to: &'a str,
    /// The member that ran it; empty when it is not known.
    pub(crate) member: &'a str,
    pub(crate) because: &'a str,
    /// The error's code, 0 for none.
    pub(crate) error: u16,
    pub(crate) digest: &'a str,
    /// With its values; none unless they are asked for.
    pub(crate) statement: Option<&'a [u8]>,
}

impl Slow<'_> {
    /// A line and its end.
    pub(crate) fn line(&self) -> String {
        let mut out = String::with_capacity(256 + self.digest.len());
        // Writing to a String cannot fail.
        write!(
            out,
            "{{\"at\":{},\"client\":\"{}\",\"duration_us\":{},\"rows\":{}",
            self.at_ms,
            self.client,
            self.time.as_micros(),
            self.rows
        )
        .unwrap_or_default();
        field(&mut out, "user", self.user);
        field(&mut out, "schema", self.schema);
        field(&mut out, "to", self.to);
        field(&mut out, "member", self.member);
        field(&mut out, "because", self.because);
        if self.error != 0 {
            write!(out, ",\"error\":{}", self.error).unwrap_or_default();
        }
        field(&mut out, "digest", self.digest);
        if let Some(statement) = self.statement {
            field(&mut out, "statement", &String::from_utf8_lossy(statement));
        }
        out.push_str("}\n");
        out
    }
}

fn field(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let value = serde_json::Value::from(value);
        write!(out, ",\"{name}\":{value}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_line_is_an_object_without_what_is_not_known() {
        let slow = Slow {
            at_ms: 5,
            client: Ipv4Addr::LOCALHOST.into(),
            user: "app",
            schema: "",
            time: Duration::from_millis(2),
            rows: 3,
            to: "primary",
            member: "db-1",
            because: "writes",
            error: 0,
            digest: "INSERT INTO `t` VALUES (?)",
            statement: Some(b"INSERT INTO `t`\nVALUES (\"\xff\")"),
        };
        let expected = "{\"at\":5,\"client\":\"127.0.0.1\",\"duration_us\":2000,\"rows\":3,\
             \"user\":\"app\",\"to\":\"primary\",\"member\":\"db-1\",\"because\":\"writes\",\
             \"digest\":\"INSERT INTO `t` VALUES (?)\",\
             \"statement\":\"INSERT INTO `t`\\nVALUES (\\\"\u{fffd}\\\")\"}\n";
        assert_eq!(slow.line(), expected);
    }
}
