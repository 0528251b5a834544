//! `mainstay explain URL`: which listener, route, backend and endpoint a request would take, and why.

use std::io::Write as _;
use std::net::IpAddr;

use anyhow::Context as _;
use balancer::snapshot::{Explanation, Question};

use crate::admin_client;
use crate::report::Failure;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// As a browser has it, for example https://www.foobar.com/shop?page=2
    url: String,
    #[command(flatten)]
    which: Which,
    /// The request's method
    #[arg(long, default_value = "GET")]
    method: String,
    /// A header field of the request (may be given more than once)
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    from: IpAddr,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut headers = Vec::new();
    for text in &args.headers {
        let Some((name, value)) = text.split_once(':') else {
            let what = format!("`{text}` is no header field");
            return Err(Failure::new(what, "--header \"X-Name: value\"").into());
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let question = Question::Explain {
        url: args.url.clone(),
        method: args.method.clone(),
        headers,
        client: args.from,
    };
    let answer = admin_client::post_json(&args.which.state(), "/explain", &question)?;
    let explanation: Explanation =
        serde_json::from_slice(&answer).context("the site's answer cannot be read")?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &explanation)?;
        writeln!(out)?;
    } else {
        for step in &explanation.steps {
            writeln!(out, "{:<9} {}", step.what, step.found)?;
            for line in &step.because {
                writeln!(out, "            {line}")?;
            }
        }
    }
    Ok(0)
}
