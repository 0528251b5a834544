//! The step between fork and a foreign program: `mainstay run exec -- PROGRAM ARGS`.
//!
//! `PR_SET_PDEATHSIG` must be set in the child, between fork and exec. Doing that from the parent
//! needs `unsafe` (`pre_exec`); a short-lived process of ours that then execs needs none, and costs
//! about a millisecond. The setting survives execve (prctl(2)).

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Set by a parent whose children must not outlive it: the parent's process id.
pub const PARENT: &str = "MAINSTAY_PARENT";

/// Asks the kernel to kill this process when its parent dies, if the parent wants that.
/// An error when the parent is dead already.
pub fn die_with_parent() -> io::Result<()> {
    let Ok(parent) = std::env::var(PARENT) else {
        return Ok(());
    };
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the call above.
    if parent.parse() != Ok(getppid().as_raw()) {
        return Err(io::Error::other("the parent process is gone"));
    }
    Ok(())
}

/// Becomes the program. Returns only when that fails.
pub fn run(program: &OsString, args: &[OsString]) -> io::Error {
    if let Err(e) = die_with_parent() {
        return e;
    }
    std::process::Command::new(program)
        .args(args)
        .env_remove(PARENT)
        .exec()
}
