//! Pure: a member made primary by order, without the proof that it has every acknowledged write: when
//! that may be ordered, and what it may cost.

use site::name::MemberName;

use super::advice::Trouble;
use super::status::{ClusterStatus, Member, behind};
use super::switchover::unknown;
use crate::record::{Generation, Lease, SyncSet, Wanted};

/// What is known to be lost, and what nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub member: MemberName,
    pub generation: Generation,
    /// The former primary, and what it had when it wrote last.
    pub writer: MemberName,
    pub had: String,
    pub received: String,
    /// Transactions that the member certainly lacks.
    pub at_least: u64,
    /// Who may not be promoted, and why.
    pub nobody: Vec<(MemberName, String)>,
    /// A write is acknowledged by one of these beside the writer.
    pub sync_set: SyncSet,
}

/// How things stand for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weighed {
    /// It may be ordered.
    Loss(Box<Loss>),
    /// Members are still finding out whether it can be done without loss.
    NotYet(String),
    No(Trouble),
}

/// Looks at one status. The caller looks for a while: an election takes a moment, and what it cannot do
/// now, it may do when one more member was heard.
pub fn weigh(status: &ClusterStatus, name: &MemberName) -> Weighed {
    let Some(state) = &status.state else {
        let what = "there was no primary yet: there is nothing to lose";
        return Weighed::No(Trouble::new(
            what,
            "`mainstay db status` shows what is waited for",
        ));
    };
    let Some(member) = status.member(name) else {
        return Weighed::No(unknown(status, name));
    };
    if let Some(primary) = status.serving_primary() {
        let primary = &primary.name;
        let what = format!("{primary} is the primary and takes writes");
        let next = match primary == name {
            true => "nothing is to be done".to_owned(),
            false => format!("`mainstay db switchover {name}` loses nothing"),
        };
        return Weighed::No(Trouble::new(what, next));
    }
    if status.is_paused() {
        let what = "the database is in maintenance: nobody has looked yet whether it can be done \
                    without loss";
        return Weighed::No(Trouble::new(what, "mainstay db resume"));
    }
    if member.state != "running" {
        let what = format!("{name} cannot be made primary: {}", member.reason);
        let next = format!("mend that first; `mainstay logs database-{name}` shows what it says");
        return Weighed::No(Trouble::new(what, next));
    }
    if member.nobody.is_empty() {
        return Weighed::NotYet(waits(state.lease, &state.primary, member));
    }
    Weighed::Loss(Box::new(Loss {
        member: name.clone(),
        generation: state.generation,
        writer: state.writer.clone(),
        had: state.position.clone(),
        received: member.received.clone(),
        at_least: behind(
            &state.position.parse().unwrap_or_default(),
            &member.received.parse().unwrap_or_default(),
        ),
        nobody: member.nobody.clone(),
        sync_set: state.sync_set.clone(),
    }))
}

fn waits(lease: Lease, primary: &MemberName, member: &Member) -> String {
    let lease = match lease {
        Lease::Held => format!("the lease of {primary} may still hold"),
        Lease::Released => format!("{primary} has given its lease up"),
    };
    format!(
        "an election without loss is still possible: {lease}; {}: {}",
        member.name, member.reason
    )
}

/// What is asked for.
pub fn wanted(loss: &Loss) -> Wanted {
    Wanted {
        generation: loss.generation,
        to: Some(loss.member.clone()),
    }
}

/// Whether it is done: a member that was asked for serves in a later generation.
pub fn is_done(status: &ClusterStatus, wanted: &Wanted) -> Option<Generation> {
    let primary = status.serving_primary()?;
    let generation = status.generation()?;
    (generation > wanted.generation && wanted.to.as_ref() == Some(&primary.name))
        .then_some(generation)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, cluster, name};
    use super::*;

    /// The primary is gone, and nobody may be elected.
    fn stuck() -> ClusterStatus {
        let mut now = cluster();
        for gone in ["db-1", "db-2"] {
            let member = at(&mut now, gone);
            (member.state, member.role) = ("down".to_owned(), "unknown".to_owned());
            member.serves = false;
        }
        let last = at(&mut now, "db-3");
        last.received = "0-101-13".to_owned();
        last.nobody = vec![(name("db-2"), "was not heard".to_owned())];
        now
    }

    fn refused(status: &ClusterStatus, of: &str) -> String {
        match weigh(status, &name(of)) {
            Weighed::No(trouble) => trouble.what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_certainly_lost_is_counted() {
        let Weighed::Loss(loss) = weigh(&stuck(), &name("db-3")) else {
            panic!()
        };
        assert_eq!((loss.at_least, loss.generation), (7, Generation(4)));
        assert_eq!(wanted(&loss).to, Some(name("db-3")));
    }

    #[test]
    fn it_is_refused_while_something_better_can_be_done() {
        assert!(refused(&cluster(), "db-2").contains("db-1 is the primary"));
        assert!(refused(&stuck(), "db-2").contains("db-2 cannot be made primary"));
        let mut paused = stuck();
        paused.request.paused = true;
        assert!(refused(&paused, "db-3").contains("maintenance"));
        let mut electing = stuck();
        at(&mut electing, "db-3").nobody.clear();
        let weighed = weigh(&electing, &name("db-3"));
        assert!(matches!(weighed, Weighed::NotYet(_)), "{weighed:?}");
    }
}
