//! `mainstay endpoint list|drain|ready|maintenance|weight`: what each endpoint gets, and what people want
//! of it. A wish is kept until somebody says otherwise, also over a restart of the site.

use std::io::Write as _;

use anyhow::Context as _;
use balancer::snapshot::{Change, Override, Share, Wish};
use monitor::status::{EndpointStatus, SiteStatus};

use crate::admin_client;
use crate::render;
use crate::report::Failure;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Show every endpoint: its state, its share, what it has done
    List {
        #[command(flatten)]
        which: Which,
        /// Print one JSON array instead of text
        #[arg(long)]
        json: bool,
    },
    /// Send it no new visitors; those bound to it by a cookie stay
    Drain(Of),
    /// Send it requests again
    Ready(Of),
    /// Send it nobody
    Maintenance(Of),
    /// Change its share of the requests
    Weight {
        /// `BACKEND/ENDPOINT`; the backend may be left out when only one has it
        endpoint: String,
        /// From 0 (only visitors bound to it) to 256; `file` for the one in the site file
        weight: String,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args, Debug)]
struct Of {
    /// `BACKEND/ENDPOINT`; the backend may be left out when only one has it
    endpoint: String,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.what {
        What::List { which, json } => return list(which, *json),
        What::Drain(of) => wish(&of.which, &of.endpoint, Some(Wish::Drain), None)?,
        What::Ready(of) => wish(&of.which, &of.endpoint, Some(Wish::Ready), None)?,
        What::Maintenance(of) => wish(&of.which, &of.endpoint, Some(Wish::Maintenance), None)?,
        What::Weight {
            endpoint,
            weight,
            which,
        } => {
            let weight = match weight.as_str() {
                "file" => Share::OfFile,
                text => match text.parse::<u16>() {
                    Ok(weight) if weight <= 256 => Share::Wished(weight),
                    _ => {
                        let what = format!("`{text}` is no weight");
                        return Err(Failure::new(what, "a number from 0 to 256, or `file`").into());
                    }
                },
            };
            wish(which, endpoint, None, Some(weight))?;
        }
    }
    Ok(0)
}

fn list(which: &Which, json: bool) -> anyhow::Result<u8> {
    let status: SiteStatus = admin_client::get(&which.state(), "/status")?;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &status.endpoints)?;
        writeln!(out)?;
    } else {
        out.write_all(render::status::endpoint_list(&status).as_bytes())?;
    }
    Ok(0)
}

/// `admin`, `weight`: None for as somebody wanted it before.
fn wish(
    which: &Which,
    name: &str,
    admin: Option<Wish>,
    weight: Option<Share>,
) -> anyhow::Result<()> {
    let state = which.state();
    let status: SiteStatus = admin_client::get(&state, "/status")?;
    let endpoint = find(&status, name)?;
    let change = Change {
        backend: endpoint.backend.clone(),
        endpoint: endpoint.name.clone(),
        admin,
        weight,
    };
    let answer = admin_client::post_json(&state, "/endpoint", &change)?;
    let wanted: Override =
        serde_json::from_slice(&answer).context("the site's answer cannot be read")?;
    let mut out = std::io::stdout().lock();
    let (backend, name) = (&wanted.backend, &wanted.endpoint);
    let what = match (wanted.admin, wanted.weight) {
        (Wish::Ready, None) => "ready".to_owned(),
        (Wish::Ready, Some(weight)) => format!("ready, weight {weight}"),
        (Wish::Drain, _) => "drained: no new visitors".to_owned(),
        (Wish::Maintenance, _) => "in maintenance: no requests".to_owned(),
    };
    writeln!(out, "{backend}/{name}: {what}").context("standard output")
}

fn find<'s>(status: &'s SiteStatus, name: &str) -> anyhow::Result<&'s EndpointStatus> {
    let fits = |endpoint: &&EndpointStatus| {
        name == endpoint.name
            || name
                .strip_prefix(&endpoint.backend)
                .and_then(|rest| rest.strip_prefix('/'))
                == Some(endpoint.name.as_str())
    };
    let mut found = status.endpoints.iter().filter(fits);
    let Some(first) = found.next() else {
        let what = format!("no endpoint `{name}`");
        return Err(Failure::new(what, "`mainstay endpoint list` shows them").into());
    };
    if let Some(other) = found.find(|other| other.backend != first.backend) {
        let what = format!(
            "`{name}` is an endpoint of {} and of {}",
            first.backend, other.backend
        );
        let next = format!("{}/{name} or {}/{name}", first.backend, other.backend);
        return Err(Failure::new(what, next).into());
    }
    Ok(first)
}
