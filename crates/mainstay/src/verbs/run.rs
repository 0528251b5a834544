//! `mainstay run …`: being one process of a site. Hidden: parents start these, not people.

use std::ffi::OsString;

use clap::Subcommand;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand, Debug)]
enum Role {
    Balancer,
    Web,
    SqlRouter,
    /// Waits for its parent's end and then kills what the parent left
    Leash,
    /// Becomes a program that dies with its parent
    Exec {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    telemetry::log::init();
    match &args.role {
        Role::Balancer => balancer::run::run()?,
        Role::Web => web::run::run()?,
        Role::SqlRouter => sql_router::run::run()?,
        Role::Leash => process::leash::run(std::io::stdin().lock())?,
        Role::Exec { command } => {
            let [program, rest @ ..] = command.as_slice() else {
                anyhow::bail!("no program");
            };
            let e = process::exec::run(program, rest);
            anyhow::bail!("{}: {e}", program.display());
        }
    }
    Ok(0)
}
