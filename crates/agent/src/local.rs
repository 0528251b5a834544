//! A whole site in one process, for `mainstay up`: every server on a loopback address of its own, every
//! role a child process.
//!
//! Under `up` no child outlives this process: the kernel ends the direct children, the leash the rest.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use cluster::{Cluster, Secrets, keys};
use process::spawn::Spawner;
use serde::{Deserialize, Serialize};
use site::target::Target;
use site::{Ground, Site};
use tokio::sync::mpsc;

use crate::balancer_side::COOKIE_KEY;
use crate::listeners;
use crate::progress::Progress;
use crate::state_dir::StateDir;

use self::teller::Teller;

mod bring_up;
mod certificates;
mod running;
mod teller;

pub use running::Running;

pub use crate::up_error::UpError;

/// Events on their way to the log.
const EVENTS: usize = 1024;

/// What `up` was asked for.
#[derive(Debug)]
pub struct Options {
    pub site: Site,
    /// The site file's directory, absolute.
    pub source_root: PathBuf,
    pub state: PathBuf,
    pub http: SocketAddr,
    pub https: SocketAddr,
}

/// Key `site/network`: kept, so that addresses are the same at every start.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    network: [u8; 3],
}

/// Starts the site; returns when it answers, or with everything stopped. `broken_off` ends the start
/// before its time, and so does `mainstay down`.
pub async fn up(
    options: Options,
    progress: mpsc::Sender<Progress>,
    broken_off: impl Future<Output = ()>,
) -> Result<Running, UpError> {
    let teller = Teller {
        to: progress,
        started: Instant::now(),
    };
    let state =
        StateDir::claim(&options.state).map_err(|e| UpError::new(e.to_string(), e.next()))?;
    let log = state.root.join("logs/mainstay.log");
    match std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
    {
        Ok(file) => telemetry::log::init_to(file),
        Err(e) => return Err(UpError::new(format!("{}: {e}", log.display()), "")),
    }
    let plain = |e: &dyn std::error::Error| UpError::new(e.to_string(), "");
    let cluster =
        Cluster::open_embedded(&state.root.join("cluster.json")).map_err(|e| plain(&e))?;
    let secrets = Secrets::open(&state.root.join("secrets")).map_err(|e| plain(&e))?;
    // Balancers and web servers sign with it, and none of them waits for the other.
    secrets.get_or_create(COOKIE_KEY).map_err(|e| plain(&e))?;
    check_target(&derive(&options, [127, 0, 1]))?;
    let (target, ground, listeners) = claim_addresses(&options, &cluster, &state).await?;
    let mark = secrets.get_or_create("leash-mark").map_err(|e| plain(&e))?;
    // What an earlier run left because even its leash was killed.
    process::leash::kill_marked(mark.expose());
    let leash = leash(mark.expose()).map_err(|e| plain(&e))?;
    let spawner = Spawner::start(true, mark.expose().to_owned()).map_err(|e| plain(&e))?;
    let (events, incoming) = mpsc::channel(EVENTS);
    let mut running = Running::new(running::Parts {
        site: options.site,
        target,
        ground,
        state,
        cluster,
        secrets,
        spawner,
        leash,
        events,
        incoming,
        listeners,
    })?;
    let asked = running.asked_to_stop();
    let brought_up = tokio::select! {
        brought_up = bring_up::bring_up(&mut running, &teller) => brought_up,
        () = broken_off => Err(UpError::new("the start was broken off", "")),
        () = asked => Err(UpError::new("the site was stopped before it answered", "")),
    };
    match brought_up {
        Ok(ready) => {
            running.ready = Some(ready.clone());
            teller.tell(Progress::Ready(ready)).await;
            Ok(running)
        }
        Err(e) => {
            running.stop().await;
            Err(e)
        }
    }
}

/// The loopback network of this site and every socket on it.
async fn claim_addresses(
    options: &Options,
    cluster: &Cluster,
    state: &StateDir,
) -> Result<(Target, Ground, Vec<listeners::Listeners>), UpError> {
    let in_use = "stop that process, or choose other addresses with --http and --https";
    let store = |e: &dyn std::error::Error| UpError::new(e.to_string(), "");
    let kept = cluster
        .get(keys::SITE_NETWORK)
        .await
        .map_err(|e| store(&e))?;
    if let Some(kept) = kept {
        let kept: Network =
            serde_json::from_str(&kept.value).map_err(|e| UpError::new(e.to_string(), ""))?;
        let mut target = derive(options, kept.network);
        let bound = listeners::bind(&mut target);
        return Ok((
            target,
            ground(options, kept.network),
            bound.map_err(|e| UpError::new(e.to_string(), in_use))?,
        ));
    }
    // The first that is free, beginning at one that depends on the directory, so that two sites that are
    // both stopped do not count on the same.
    let first = state
        .root
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(7_u32, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u32::from(*byte))
        });
    let mut last = None;
    for step in 0..16 {
        let third = u8::try_from((first + step) % 250 + 1).unwrap_or(1);
        let network = [127, 0, third];
        let mut target = derive(options, network);
        match listeners::bind(&mut target) {
            Ok(bound) => {
                let value = serde_json::to_string(&Network { network }).unwrap_or_default();
                cluster
                    .put_if(keys::SITE_NETWORK, None, value)
                    .await
                    .map_err(|e| store(&e))?;
                return Ok((target, ground(options, network), bound));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(UpError::new(
        last.map_or_else(String::new, |e| e.to_string()),
        in_use,
    ))
}

/// The independent checker of what `derive` made: a defect is a bug of ours, told before it does harm.
fn check_target(target: &Target) -> Result<(), UpError> {
    let defects = site::check_target(target);
    let Some(first) = defects.first() else {
        return Ok(());
    };
    let what = format!("this site file leads to an impossible plan: {first}");
    Err(UpError::new(
        what,
        "this is a bug in Mainstay; please report it with the site file",
    ))
}

fn derive(options: &Options, network: [u8; 3]) -> Target {
    site::derive(&options.site, &ground(options, network))
}

fn ground(options: &Options, network: [u8; 3]) -> Ground {
    Ground::Local {
        network,
        http: options.http,
        https: Some(options.https),
        source_root: options.source_root.clone(),
    }
}

/// Starts the process that ends what we leave, and gives it the mark through its standard input: an
/// argument could be read by everybody.
fn leash(mark: &str) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut leash = Command::new(std::env::current_exe()?)
        .args(["run", "leash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for us, not for it.
        .process_group(0)
        .spawn()?;
    if let Some(stdin) = &mut leash.stdin {
        writeln!(stdin, "{mark}")?;
    }
    Ok(leash)
}
