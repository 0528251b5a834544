//! `mainstay up [SITE]`: the whole site on this machine.
//!
//! `--detach` starts this verb again in a session of its own, shows what it tells and returns when the
//! site answers.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use agent::local::{self, Options, Running};
use agent::progress::{Progress, Ready};
use anyhow::Context as _;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::render::progress::{self, Show};
use crate::report::Failure;
use crate::site_file::{self, Which};

/// Steps waiting to be shown.
const QUEUE: usize = 64;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Where the first balancer listens for HTTP; port 0 for any free one [default: 127.0.0.1:8080; for a
    /// balancer alone, every address with the port of the site file]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Where the first balancer listens for HTTPS [default: 127.0.0.1:8443, or as for HTTP]
    #[arg(long, value_name = "ADDRESS")]
    https: Option<SocketAddr>,
    /// Go on in the background; return when the site answers
    #[arg(long)]
    detach: bool,
    /// Print where the site is found as one JSON object
    #[arg(long)]
    json: bool,
    /// Tell each step as a line of JSON (what `--detach` reads)
    #[arg(long, hide = true)]
    steps: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let file = args.which.file();
    let site = match site_file::load(&file)? {
        Ok(site) => site,
        Err(status) => return Ok(status),
    };
    if args.detach {
        return detach(args);
    }
    if args.steps {
        // The background half: the end of the terminal it was started at is not its end.
        nix::unistd::setsid().context("a session of its own")?;
    }
    let source_root = site_file::directory(&file)
        .canonicalize()
        .with_context(|| format!("cannot read {}", file.display()))?;
    // A balancer in front of anything is what its file says; a whole site on one machine is for trying.
    let address = |given: Option<SocketAddr>, port: u16, otherwise: u16| match (given, site.alone) {
        (Some(given), _) => given,
        (None, true) => SocketAddr::from(([0, 0, 0, 0], port)),
        (None, false) => SocketAddr::from(([127, 0, 0, 1], otherwise)),
    };
    let http = address(args.http, site.balancer.http, 8080);
    let https = address(args.https, site.balancer.https, 8443);
    let options = Options {
        site,
        source_root,
        state: args.which.state(),
        http,
        https,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(stay(options, args));
    // Nothing that is left (a blocking copy, say) may keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    status
}

/// Starts the site and keeps it until somebody asks for its end.
async fn stay(options: Options, args: &Args) -> anyhow::Result<u8> {
    let (steps, told) = mpsc::channel(QUEUE);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let show = if args.steps {
        Show::Json
    } else {
        Show::on_stderr(args.json)
    };
    let showing = tokio::spawn(progress::show(told, show));
    let mut again = signal(SignalKind::interrupt())?;
    let broken_off = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            () = nobody_reads(), if args.steps => {}
        }
        say_stopping(args);
    };
    let started = tokio::select! {
        started = local::up(options, steps, broken_off) => started,
        // The kernel and the leash end what is left.
        () = async { again.recv().await; again.recv().await; } => return Ok(1),
    };
    let shown = showing.await;
    let running = match started {
        Ok(running) => running,
        Err(e) => {
            let failure = Failure::new(e.what, e.next);
            if args.steps {
                let failed = Progress::Failed {
                    what: failure.what,
                    next: failure.next,
                };
                progress::print_json(&failed);
                return Ok(1);
            }
            return Err(failure.into());
        }
    };
    shown.context("showing the start")?;
    if let Some(ready) = running.ready().filter(|_| !args.steps)
        && let Err(e) = print_ready(ready, args.json)
    {
        // Nobody would know where the site is. Databases are not ended by a dropped pipe.
        running.stop().await;
        return Err(e);
    }
    let events = (!args.steps && !args.json)
        .then(|| show_events(&running))
        .flatten();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        () = running.asked_to_stop() => {}
    }
    say_stopping(args);
    tokio::select! {
        () = running.stop() => {}
        // The kernel and the leash end what is left.
        _ = interrupt.recv() => {}
    }
    if let Some(events) = events {
        events.abort();
    }
    Ok(0)
}

fn say_stopping(args: &Args) {
    let text = b"\nstopping (Ctrl-C again to stop at once)\n";
    let mut err = std::io::stderr();
    if !args.steps && err.is_terminal() && err.write_all(text).is_err() {
        tracing::debug!("nobody reads standard error");
    }
}

/// Returns when the foreground half of `--detach` has gone (Ctrl-C, say) before the site answers.
async fn nobody_reads() {
    let watched = std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(pipe::Sender::from_owned_fd);
    match watched {
        Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {}
        // Not a pipe: started by hand.
        _ => std::future::pending().await,
    }
}

/// What happens, a line each, while the site runs in the foreground.
fn show_events(running: &Running) -> Option<tokio::task::JoinHandle<()>> {
    let mut live = running.event_log()?.subscribe();
    Some(tokio::spawn(async move {
        while let Ok(event) = live.recv().await {
            let line = crate::render::status::event(&event);
            if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    }))
}

fn print_ready(ready: &Ready, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, ready)?;
        writeln!(out)?;
    } else {
        out.write_all(progress::ready(ready).as_bytes())?;
    }
    Ok(out.flush()?)
}

/// The foreground half of `--detach`.
fn detach(args: &Args) -> anyhow::Result<u8> {
    let ourselves = std::env::current_exe().context("our own binary")?;
    let mut command = Command::new(ourselves);
    let state: PathBuf = args.which.state();
    command
        .arg("up")
        .arg(&args.which.site)
        .arg("--state")
        .arg(&state)
        .arg("--steps");
    for (flag, address) in [("--http", args.http), ("--https", args.https)] {
        if let Some(address) = address {
            command.arg(flag).arg(address.to_string());
        }
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Whoever reads our output must not wait for its end. It tells errors as steps, and logs to a file.
        .stderr(Stdio::null())
        .spawn()
        .context("starting the site in the background")?;
    let stdout = child
        .stdout
        .take()
        .context("the other half has no output")?;
    let mut shown = progress::Shown::new(Show::on_stderr(args.json));
    for line in BufReader::new(stdout).lines() {
        let progress: Progress = serde_json::from_str(&line?).context("the other half's words")?;
        match progress {
            Progress::Ready(ready) => {
                shown.end();
                print_ready(&ready, args.json)?;
                return Ok(0);
            }
            Progress::Failed { what, next } => {
                shown.end();
                child.wait()?;
                return Err(Failure::new(what, next).into());
            }
            step => shown.step(&step),
        }
    }
    let status = child.wait()?;
    let what = format!("the site's process ended before it answered ({status})");
    let next = format!("see {}", state.join("logs/mainstay.log").display());
    Err(Failure::new(what, next).into())
}
