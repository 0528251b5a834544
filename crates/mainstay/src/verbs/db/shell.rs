//! `mainstay db shell`: becomes the `mariadb` client of a member, logged in over its unix socket. The
//! password goes through a file in memory that only this process has: no argument, nothing on a disk.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use cluster::Secrets;
use database::Programs;
use database::accounts;
use database::engine::login;
use database::engine::programs::Program;
use database::operate::status::{ClusterStatus, Member};
use nix::sys::memfd::{MFdFlags, memfd_create};
use site::name::MemberName;

use super::looking;
use super::{Flags, refused};
use crate::render;
use crate::report::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// At this member [default: the primary]. What is not the primary is opened read-only
    #[arg(long, value_name = "MEMBER")]
    on: Option<String>,
    /// Refuse statements that change something
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    flags: Flags,
    /// For the client, after `--`: `-- -e "SHOW PROCESSLIST"`
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let state = args.flags.state();
    let status = looking::status(&state)?;
    let member = member(&status, args.on.as_deref())?;
    let programs = Programs::from_path(std::env::var_os("PATH"));
    let client = programs
        .find(Program::Client)
        .map_err(|e| Failure::new(e.to_string(), "then run `mainstay db shell` again"))?;
    let socket = member.socket.as_ref();
    let socket =
        socket.with_context(|| format!("{} has not said where its socket is", member.name))?;
    let secrets = Secrets::open(&state.join("secrets"))?;
    let password = secrets.get(accounts::ADMIN_SECRET)?;
    let password =
        password.with_context(|| format!("there is no secret `{}`", accounts::ADMIN_SECRET))?;
    let is_primary = status
        .serving_primary()
        .is_some_and(|it| it.name == member.name);
    let read_only = args.read_only || !is_primary;
    let mut options = login::options(socket, &password);
    options.push_str(&render::database::shell_options(
        &status.site,
        member,
        read_only,
    ));
    let file = in_memory(&options).context("a file in memory")?;
    let program = client.display().to_string();
    let error = Command::new(client)
        .arg(format!(
            "--defaults-file=/proc/self/fd/{}",
            file.as_raw_fd()
        ))
        .args(&args.args)
        .exec();
    Err(error).context(program)
}

fn member<'s>(status: &'s ClusterStatus, on: Option<&str>) -> anyhow::Result<&'s Member> {
    let Some(on) = on else {
        return status.serving_primary().ok_or_else(|| {
            let next = "`mainstay db status` shows why; --on MEMBER opens one that runs";
            Failure::new("no primary takes writes", next).into()
        });
    };
    let name = MemberName::new(on);
    match status.member(&name) {
        Some(member) => Ok(member),
        None => Err(refused(database::operate::switchover::unknown(
            status, &name,
        ))),
    }
}

/// Kept open over `exec`; the client refuses files that others may write to.
fn in_memory(text: &str) -> anyhow::Result<File> {
    let mut file = File::from(memfd_create(c"options", MFdFlags::empty())?);
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
