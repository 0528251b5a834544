//! Pure: restarting database servers one after the other, so that writes are never held for longer
//! than a switchover takes: first the replicas, then a switchover, then the former primary.
//!
//! One step at a time, from the status alone: who still has the process it had at the beginning is not
//! restarted yet. Each step waits until the member before is back in the sync set.

use std::collections::BTreeMap;

use site::name::MemberName;

use super::advice::Trouble;
use super::status::{ClusterStatus, Member};
use super::switchover::unknown;
use crate::record::{Generation, Restart};

/// What a restart began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Who is to be restarted, and its server's process then.
    pub lives: BTreeMap<MemberName, u32>,
    /// Grows by the switchovers that belong to it only.
    pub generation: Generation,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// For this; in words.
    Wait(String),
    Restart(Restart),
    /// The primary is the last one: it hands over first.
    Switchover,
    Done,
    Stop(Trouble),
}

/// All members, or one.
pub fn begin(status: &ClusterStatus, only: Option<&MemberName>) -> Result<Begun, Trouble> {
    let see = "`mainstay db status` shows what is wrong and what to do about it";
    if let Some(only) = only
        && status.member(only).is_none()
    {
        return Err(unknown(status, only));
    }
    let generation = match (status.generation(), status.serving_primary()) {
        (Some(generation), Some(primary)) => {
            if only == Some(&primary.name) && status.members.len() > 1 {
                let what = format!("{} is the primary", primary.name);
                let next = "`mainstay db switchover` first; without a member, `mainstay db restart` does it \
                            all in order";
                return Err(Trouble::new(what, next));
            }
            generation
        }
        _ => {
            return Err(Trouble::new(
                "no primary takes writes: nothing is restarted",
                see,
            ));
        }
    };
    if status.is_paused() {
        let what = "the database is in maintenance: nothing is restarted";
        return Err(Trouble::new(what, "mainstay db resume"));
    }
    let chosen = |member: &&Member| only.is_none_or(|only| member.name == *only);
    let mut lives = BTreeMap::new();
    for member in status.members.iter().filter(chosen) {
        let Some(pid) = member.pid else {
            let what = format!("{} does not run: {}", member.name, member.reason);
            return Err(Trouble::new(what, see));
        };
        lives.insert(member.name.clone(), pid);
    }
    Ok(Begun { lives, generation })
}

/// The next step.
pub fn next(status: &ClusterStatus, begun: &Begun) -> Step {
    if let Some(no) = trouble(status, begun) {
        return Step::Stop(no);
    }
    let Some(primary) = status.serving_primary() else {
        return Step::Wait("a primary takes writes".to_owned());
    };
    let same = |member: &&Member| begun.lives.get(&member.name).copied() == member.pid;
    let is_old = |member: &&Member| begun.lives.contains_key(&member.name) && same(member);
    let replicas = || status.members.iter().filter(|it| it.name != primary.name);
    if let Some(waits) = replicas().find(|member| !status.is_settled(member)) {
        let back = match status.acknowledged {
            true => "is back in the sync set",
            false => "follows again",
        };
        return Step::Wait(format!("{} {back}", waits.name));
    }
    let pid = |member: &Member| member.pid.unwrap_or_default();
    if let Some(old) = replicas().find(is_old) {
        return Step::Restart(Restart {
            member: old.name.clone(),
            pid: pid(old),
        });
    }
    match is_old(&primary) {
        false => Step::Done,
        true if status.members.len() > 1 => Step::Switchover,
        true => Step::Restart(Restart {
            member: primary.name.clone(),
            pid: pid(primary),
        }),
    }
}

/// What ends it at once.
fn trouble(status: &ClusterStatus, begun: &Begun) -> Option<Trouble> {
    let again =
        "`mainstay db status` shows it; once that is mended, run `mainstay db restart` again";
    if status.is_paused() {
        let what = "somebody has begun maintenance meanwhile";
        return Some(Trouble::new(
            what,
            "`mainstay db resume`, then `mainstay db restart` again",
        ));
    }
    if let Some(broken) = status.members.iter().find(|member| member.needs_you) {
        let what = format!("{} does not come back: {}", broken.name, broken.reason);
        return Some(Trouble::new(what, again));
    }
    let generation = status.generation()?;
    (generation != begun.generation).then(|| {
        let what = format!(
            "there was a failover meanwhile (generation {generation}, begun in {})",
            begun.generation
        );
        Trouble::new(what, again)
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, cluster, hand_over, name};
    use super::*;

    #[test]
    fn replicas_first_then_a_switchover_then_the_former_primary() {
        let mut now = cluster();
        let mut begun = begin(&now, None).unwrap();
        let mut order = Vec::new();
        loop {
            match next(&now, &begun) {
                Step::Restart(restart) => {
                    let member = at(&mut now, restart.member.as_str());
                    assert_eq!(member.role, "replica");
                    member.pid = None;
                    member.serves = false;
                    order.push(restart.member.to_string());
                    let waits = next(&now, &begun);
                    assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
                    let member = at(&mut now, restart.member.as_str());
                    member.pid = Some(restart.pid + 100);
                    member.serves = true;
                    member.whole = false;
                    let waits = next(&now, &begun);
                    assert_eq!(
                        waits,
                        Step::Wait(format!("{} is back in the sync set", restart.member))
                    );
                    at(&mut now, restart.member.as_str()).whole = true;
                }
                Step::Switchover => {
                    order.push("switchover".to_owned());
                    hand_over(&mut now, "db-2");
                    begun.generation = begun.generation.next();
                }
                Step::Done => break,
                step @ (Step::Wait(_) | Step::Stop(_)) => panic!("{step:?}"),
            }
        }
        assert_eq!(order, ["db-2", "db-3", "switchover", "db-1"]);
    }

    #[test]
    fn the_first_trouble_ends_it() {
        let begun = begin(&cluster(), None).unwrap();
        let stopped = |change: fn(&mut ClusterStatus)| {
            let mut now = cluster();
            change(&mut now);
            match next(&now, &begun) {
                Step::Stop(trouble) => trouble.what,
                step => panic!("{step:?}"),
            }
        };
        assert!(stopped(|now| hand_over(now, "db-3")).contains("a failover meanwhile"));
        assert!(stopped(|now| now.request.paused = true).contains("maintenance"));
        assert!(
            stopped(|now| at(now, "db-2").needs_you = true).contains("db-2 does not come back")
        );
    }

    #[test]
    fn one_alone_is_restarted_unless_others_could_take_its_place() {
        let refused = begin(&cluster(), Some(&name("db-1"))).unwrap_err();
        assert_eq!(refused.what, "db-1 is the primary");
        let begun = begin(&cluster(), Some(&name("db-3"))).unwrap();
        let wanted = |member| Step::Restart(Restart { member, pid: 51 });
        assert_eq!(next(&cluster(), &begun), wanted(name("db-3")));
        let mut alone = cluster();
        alone.members.truncate(1);
        let begun = begin(&alone, None).unwrap();
        assert!(matches!(next(&alone, &begun), Step::Restart(_)));
        at(&mut alone, "db-1").pid = Some(7);
        assert_eq!(next(&alone, &begun), Step::Done);
    }
}
