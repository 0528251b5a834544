//! Runs a script on both sides and finds the first answer that differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::bed::{Bed, PATIENCE, Server, Wish};
use crate::known;
use crate::step::{Event, Script, Step};
use crate::wire::{Answer, Client, Piece};

/// The replica's share of a wait; short, as a stopped applier is waited for in vain.
const CAUSAL_WAIT: Duration = Duration::from_millis(15);

/// For a connection when all are in use: sessions that are asked part with theirs at once, or after
/// 100 ms.
const HOLD: Duration = Duration::from_millis(400);

/// A server alone, and a router before two.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) bed: Bed,
    alone: Server,
    /// Scripts that ended early because the router says that it does not know.
    pub(crate) forgotten: u64,
    /// The same, because all connections are held.
    pub(crate) held: u64,
    _dir: tempfile::TempDir,
}

impl Pair {
    /// `connections`: so many to each server, for one thread of the router.
    pub(crate) async fn start(threads: usize, connections: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let wish = Wish {
            threads,
            ..Wish::default()
        };
        let (bed, alone) = tokio::join!(Bed::with(wish), Server::alone(dir.path(), "alone"));
        bed.change(|snapshot| {
            snapshot.target.causal_wait = CAUSAL_WAIT;
            snapshot.target.connections = connections;
            // Where all are held nobody comes to free one: the sessions take turns here.
            snapshot.target.hold = HOLD;
        });
        for server in [&bed.primary, &alone] {
            server.sql(&known::ACCOUNTS).await;
        }
        Self {
            bed,
            alone,
            forgotten: 0,
            held: 0,
            _dir: dir,
        }
    }

    /// `Err`: what differs, and all that came before.
    pub(crate) async fn run(&mut self, script: &Script) -> Result<(), String> {
        self.begin(script).await;
        let (mut straight, mut routed) = (Vec::new(), Vec::new());
        for lane in &script.lanes {
            straight.push(Client::connect(self.alone.address, lane).await);
            routed.push(Client::connect(self.bed.address, lane).await);
        }
        let mut reported = vec![BTreeMap::new(); script.lanes.len()];
        let mut result = Ok(());
        for (at, event) in script.steps.iter().enumerate() {
            match event {
                Event::StopApplier => drop(self.bed.replica.sql(&["STOP SLAVE SQL_THREAD"]).await),
                Event::StartApplier => {
                    drop(self.bed.replica.sql(&["START SLAVE SQL_THREAD"]).await)
                }
                Event::Of(lane, step) => {
                    let (one, other) =
                        tokio::join!(straight[*lane].run(step), routed[*lane].run(step));
                    if other.pieces.iter().any(is_forgotten) {
                        // Refused instead of answered wrongly; the rest would differ.
                        self.forgotten += 1;
                        break;
                    }
                    if other.pieces.iter().any(is_held) {
                        self.held += 1;
                        break;
                    }
                    for report in &other.reports {
                        let (name, value) = split(report);
                        reported[*lane].insert(name.to_owned(), value.to_owned());
                    }
                    let refused = matches!(step, Step::ChangeUser { .. })
                        && matches!(one.pieces[..], [Piece::Error { .. }]);
                    if let Some(difference) = difference(&one, &other, &reported[*lane]) {
                        result = Err(told(script, at, &difference));
                        break;
                    }
                    // A server goes on with the user of before and the character set of nobody.
                    if refused {
                        break;
                    }
                }
            }
        }
        self.bed.replica.sql(&["START SLAVE SQL_THREAD"]).await;
        result
    }

    /// Both sides as the scripts expect them.
    async fn begin(&self, script: &Script) {
        tokio::join!(end_prepared(&self.alone), end_prepared(&self.bed.primary));
        let mut schemas: Vec<&str> = script
            .lanes
            .iter()
            .map(|lane| lane.schema.as_str())
            .collect();
        schemas.dedup();
        let mut statements = Vec::new();
        for schema in schemas {
            statements.extend(known::schema(schema));
        }
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        tokio::join!(
            self.alone.sql(&statements),
            self.bed.primary.sql(&statements)
        );
        self.bed.caught_up().await;
    }

    /// Leaves out whatever the difference does not need.
    pub(crate) async fn shrink(&mut self, script: Script) -> Script {
        let until = Instant::now() + PATIENCE;
        let mut smallest = script;
        let mut size = smallest.steps.len().div_ceil(2);
        while size > 0 && Instant::now() < until {
            let mut at = smallest.steps.len();
            while at > 0 && Instant::now() < until {
                let from = at.saturating_sub(size);
                let mut tried = smallest.clone();
                let mut part = tried.steps.drain(from..at).collect::<Vec<_>>();
                // Without a session's first statement something else differs: see `generate`.
                part.retain(Event::is_first);
                tried.steps.splice(from..from, part);
                if tried.steps.len() < smallest.steps.len() && self.run(&tried).await.is_err() {
                    smallest = tried;
                }
                at = from.min(smallest.steps.len());
            }
            size /= 2;
        }
        smallest
    }
}

/// What an XA PREPARE left outlives its session, with its locks; it can be ended once that one is gone.
async fn end_prepared(server: &Server) {
    let until = Instant::now() + PATIENCE;
    loop {
        let left = server.sql(&["XA RECOVER"]).await;
        let names: Vec<_> = left
            .rows
            .iter()
            .filter_map(|row| row.last()?.as_deref())
            .collect();
        if names.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "{names:?} cannot be ended");
        for name in names {
            server.try_sql(&format!("XA ROLLBACK '{name}'")).await;
        }
    }
}

fn is_forgotten(piece: &Piece) -> bool {
    let refusals = [
        "what the last statement left",
        "a piece of this statement's long data",
    ];
    matches!(piece, Piece::Error { message, .. } if refusals.iter().any(|it| message.starts_with(it)))
}

fn is_held(piece: &Piece) -> bool {
    matches!(piece, Piece::Error { code: 1040, .. })
}

/// None: the same.
fn difference(
    straight: &Answer,
    routed: &Answer,
    reported: &BTreeMap<String, String>,
) -> Option<String> {
    let mut out = String::new();
    if straight.pieces != routed.pieces {
        for (name, answer) in [("straight", straight), ("routed", routed)] {
            writeln!(out, "  {name}:").unwrap();
            for piece in &answer.pieces {
                writeln!(out, "    {piece:?}").unwrap();
            }
        }
    }
    // The router asks its servers for more reports than a client gets by default. None may be missing, but
    // with more of them one may come earlier: what a failed routine set waits for the next OK that reports.
    for report in &straight.reports {
        let (name, value) = split(report);
        if reported.get(name).map(String::as_str) != Some(value) {
            writeln!(
                out,
                "  not reported: {report}; reported: {:?}",
                routed.reports
            )
            .unwrap();
        }
    }
    (!out.is_empty()).then_some(out)
}

/// `name=value`, or `schema name`.
fn split(report: &str) -> (&str, &str) {
    report.split_once(['=', ' ']).unwrap_or((report, ""))
}

fn told(script: &Script, at: usize, difference: &str) -> String {
    let mut out = String::from("an answer differs\n");
    for (number, lane) in script.lanes.iter().enumerate() {
        writeln!(out, "[{number}] {lane:?}").unwrap();
    }
    for event in script.steps.iter().take(at + 1) {
        writeln!(out, "{event}").unwrap();
    }
    out + difference
}
