//! `mainstay`: a website on several servers, from one file. This crate parses the command line, calls
//! one function per verb and turns what comes back into text and an exit status; it decides nothing.
#![forbid(unsafe_code)]

mod admin_client;
mod cli;
mod render;
mod report;
mod site_file;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match verbs::dispatch(cli.verb) {
        Ok(status) => ExitCode::from(status),
        Err(e) => report::failed(&e),
    }
}
