//! No process outlives the parent, whatever kills the parent.
//!
//! `PR_SET_PDEATHSIG` reaches the direct children only. The leash is one process of ours that holds
//! the reading end of a pipe from the parent: when the parent is gone the pipe ends, and every process
//! whose environment carries the parent's mark is killed, grandchildren included. (The mark is the
//! only thing a descendant keeps through double forks and new sessions without cgroups or root.)

use std::io::{self, Read};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Carried in the environment of every child and inherited by theirs.
pub const MARK: &str = "MAINSTAY_LEASH";

/// Rounds of looking for marked processes: one that forks while being looked for is found next time.
const ROUNDS: usize = 50;

/// The leash process: reads the mark's value (one line) and then waits for the pipe to end.
pub fn run(mut parent: impl Read) -> io::Result<()> {
    let mut text = String::new();
    parent.by_ref().take(4096).read_to_string(&mut text)?;
    let mark = text.trim();
    if mark.len() < 16 {
        return Err(io::Error::other("the leash was given no mark"));
    }
    kill_marked(mark);
    Ok(())
}

/// Kills every process whose environment has `MARK=mark`, until none is left.
pub fn kill_marked(mark: &str) {
    for _ in 0..ROUNDS {
        let found = marked(mark);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // It may be gone meanwhile: the next round tells.
            if let Err(e) = kill(pid, Signal::SIGKILL) {
                tracing::debug!("kill {pid}: {e}");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes with the mark, zombies and this one left out.
pub fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let Ok(all) = procfs::process::all_processes() else {
        return Vec::new();
    };
    all.flatten()
        .filter(|process| process.pid() != std::process::id().cast_signed())
        .filter(|process| has_line(process, wanted.as_bytes()))
        .filter(|process| process.stat().is_ok_and(|stat| stat.state != 'Z'))
        .map(|process| Pid::from_raw(process.pid()))
        .collect()
}

fn has_line(process: &procfs::process::Process, wanted: &[u8]) -> bool {
    std::fs::read(format!("/proc/{}/environ", process.pid()))
        .is_ok_and(|environ| environ.split(|b| *b == 0).any(|line| line == wanted))
}
