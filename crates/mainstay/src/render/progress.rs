//! What a start shows: a spinner with the step at work at a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use agent::progress::{Progress, Ready};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Spinner,
    Lines,
    /// For another process.
    Json,
    Nothing,
}

impl Show {
    /// `quiet`: only the result is wanted.
    pub(crate) fn on_stderr(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Spinner,
            (false, false) => Self::Lines,
        }
    }
}

/// What is on the screen.
#[derive(Debug)]
pub(crate) struct Shown {
    how: Show,
    spinner: Option<ProgressBar>,
}

impl Shown {
    pub(crate) fn new(how: Show) -> Self {
        Self { how, spinner: None }
    }

    pub(crate) fn step(&mut self, progress: &Progress) {
        match (self.how, progress) {
            (Show::Json, progress) => print_json(progress),
            (Show::Nothing, _) | (_, Progress::Ready(_) | Progress::Failed { .. }) => {}
            (Show::Spinner, Progress::Begin { step }) => {
                let spinner = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
                    spinner.set_style(style);
                }
                spinner.set_message(step.clone());
                spinner.enable_steady_tick(Duration::from_millis(80));
                self.spinner = Some(spinner);
            }
            (Show::Lines, Progress::Begin { .. }) => {}
            (_, Progress::Done { .. }) => {
                self.end();
                say(&done(progress));
            }
        }
    }

    /// Takes the spinner away.
    pub(crate) fn end(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

/// Shows steps until there are no more.
pub(crate) async fn show(mut told: mpsc::Receiver<Progress>, how: Show) {
    let mut shown = Shown::new(how);
    while let Some(progress) = told.recv().await {
        shown.step(&progress);
    }
    shown.end();
}

fn done(progress: &Progress) -> String {
    match progress {
        Progress::Done {
            step,
            detail,
            took_ms,
        } => {
            format!(
                "✓ {step:<12} {detail} ({:.1} s)\n",
                Duration::from_millis(*took_ms).as_secs_f64()
            )
        }
        _ => String::new(),
    }
}

fn say(text: &str) {
    if std::io::stderr().lock().write_all(text.as_bytes()).is_err() {
        tracing::debug!("nobody reads standard error");
    }
}

/// One line for another process, which may have gone once the site answers.
pub(crate) fn print_json(progress: &Progress) {
    let line = serde_json::to_string(progress).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads the steps");
    }
}

/// Where the site is found, for people.
pub(crate) fn ready(ready: &Ready) -> String {
    let mut text = format!(
        "\n{} answers after {:.1} s\n\n  {:<10} {}\n",
        ready.site,
        Duration::from_millis(ready.took_ms).as_secs_f64(),
        "site",
        ready.http
    );
    if let Some(https) = &ready.https {
        text.push_str(&format!(
            "  {:<10} {https}  (`mainstay trust` makes browsers trust it)\n",
            ""
        ));
    }
    text.push_str(&format!("  {:<10} {}\n", "live page", ready.dashboard));
    for (index, (server, url)) in ready.metrics.iter().enumerate() {
        let label = if index == 0 { "metrics" } else { "" };
        text.push_str(&format!("  {label:<10} {url}  {server}\n"));
    }
    text.push_str(&format!("  {:<10} {}\n", "state", ready.state));
    text.push_str("\n`mainstay status`, `mainstay logs -f`, `mainstay down`\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_site() {
        let text = ready(&Ready {
            site: "foobar".into(),
            http: "http://www.foobar.localhost:8080".into(),
            https: Some("https://www.foobar.localhost:8443".into()),
            dashboard: "http://127.0.7.11:9400/?token=T".into(),
            metrics: vec![("app-1".into(), "http://127.0.7.12:9400/metrics".into())],
            authority: None,
            state: "/srv/foobar/.mainstay".into(),
            pid: 7,
            took_ms: 2345,
        });
        insta::assert_snapshot!(text);
    }
}
