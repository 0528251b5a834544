//! `mainstay db users`: the database's accounts; one for a person or a tool added, or removed.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use cluster::Secrets;
use database::operate::message::{Account, Users};
use database::operate::users::secret;

use super::Flags;
use crate::admin_client;
use crate::render;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: List,
}

#[derive(clap::Args, Debug)]
struct List {
    /// Print one JSON array instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Make an account for the application's schema; its password is made and kept as a secret
    Add {
        name: String,
        /// It may only read
        #[arg(long)]
        read_only: bool,
        /// Print the password
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Remove an account that was added, and its password
    Remove {
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    match &args.what {
        None => {
            let accounts = ask(&args.list.flags.state(), &Users::List)?;
            if args.list.json {
                serde_json::to_writer_pretty(&mut out, &accounts)?;
                writeln!(out)?;
            } else {
                out.write_all(render::database::accounts(&accounts).as_bytes())?;
            }
        }
        Some(What::Add {
            name,
            read_only,
            show,
            flags,
        }) => {
            let state = flags.state();
            let wanted = Users::Add {
                name: name.clone(),
                read_only: *read_only,
            };
            ask(&state, &wanted)?;
            let secrets = Secrets::open(&state.join("secrets"))?;
            let secret = secret(name);
            let may = match read_only {
                true => "read",
                false => "read and write",
            };
            writeln!(
                out,
                "{name} is added: it may {may} the application's schema, on every member"
            )?;
            match show {
                true => {
                    let password = secrets.get(&secret)?.context("the secret is gone")?;
                    writeln!(out, "password: {}", password.expose())?;
                }
                false => {
                    let path = secrets.path(&secret)?;
                    writeln!(
                        out,
                        "its password is in {}; --show prints it",
                        path.display()
                    )?;
                }
            }
        }
        Some(What::Remove { name, flags }) => {
            ask(&flags.state(), &Users::Remove { name: name.clone() })?;
            writeln!(out, "{name} is removed, on every member")?;
        }
    }
    Ok(0)
}

fn ask(state: &Path, wanted: &Users) -> anyhow::Result<Vec<Account>> {
    let answer = admin_client::post_json(state, "/database/users", wanted)?;
    serde_json::from_slice(&answer).context("the site's answer cannot be read")
}
