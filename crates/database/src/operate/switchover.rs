//! Pure: may a switchover be asked for, and how has it ended?

use site::name::MemberName;

use super::advice::Trouble;
use super::status::ClusterStatus;
use crate::record::{Generation, Wanted};

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    For(Wanted),
    /// It is the primary already.
    Is(MemberName),
}

/// `to`: `None` for whoever is best.
pub fn ask(status: &ClusterStatus, to: Option<&MemberName>) -> Result<Ask, Trouble> {
    let see = "`mainstay db status` shows all of it";
    let Some(state) = &status.state else {
        return Err(Trouble::new("there is no primary yet", see));
    };
    if let Some(to) = to
        && status.member(to).is_none()
    {
        return Err(unknown(status, to));
    }
    if to == Some(&state.primary) {
        return Ok(Ask::Is(state.primary.clone()));
    }
    if status.members.len() < 2 {
        let next = "`replicas = 1` in [database] makes another";
        return Err(Trouble::new("there is no other member", next));
    }
    if status.is_paused() {
        let what = "the database is in maintenance: nothing changes hands";
        return Err(Trouble::new(what, "mainstay db resume"));
    }
    if status.serving_primary().is_none() {
        let what = format!(
            "{} is the primary and takes no writes: there is nothing to hand over",
            state.primary
        );
        return Err(Trouble::new(what, see));
    }
    Ok(Ask::For(Wanted {
        generation: state.generation,
        to: to.cloned(),
    }))
}

/// A name that is none.
pub fn unknown(status: &ClusterStatus, name: &MemberName) -> Trouble {
    let names: Vec<&str> = status.members.iter().map(|it| it.name.as_str()).collect();
    let what = format!("the site has no database member {name}");
    Trouble::new(what, format!("one of: {}", names.join(", ")))
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Waiting,
    /// Writes wait: the primary hands over, or no other takes them yet.
    Held,
    Done {
        primary: MemberName,
        generation: Generation,
    },
    /// Not now; it may still be done.
    NotYet(String),
    Refused(String),
    /// Another became primary than was asked for.
    Another(MemberName),
}

/// Of what was asked for.
pub fn outcome(status: &ClusterStatus, wanted: &Wanted) -> Outcome {
    let Some(state) = &status.state else {
        return Outcome::Waiting;
    };
    if state.generation > wanted.generation {
        return match status.serving_primary() {
            None => Outcome::Held,
            Some(primary) if wanted.to.as_ref().is_some_and(|to| *to != primary.name) => {
                Outcome::Another(primary.name.clone())
            }
            Some(primary) => Outcome::Done {
                primary: primary.name.clone(),
                generation: state.generation,
            },
        };
    }
    let Some(primary) = status.member(&state.primary) else {
        return Outcome::Waiting;
    };
    if primary.seen.switchover.as_ref() != Some(wanted) {
        return Outcome::Waiting;
    }
    match &primary.refusal {
        Some(refused) if refused.is_final => Outcome::Refused(refused.why.clone()),
        Some(refused) => Outcome::NotYet(refused.why.clone()),
        // Routers send nothing new from here on.
        None => Outcome::Held,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, cluster, hand_over, name};
    use super::super::status::Refused;
    use super::*;
    use crate::record::RequestRecord;

    fn wanted() -> Wanted {
        match ask(&cluster(), Some(&name("db-2"))).unwrap() {
            Ask::For(wanted) => wanted,
            Ask::Is(primary) => panic!("{primary}"),
        }
    }

    #[test]
    fn what_cannot_be_is_not_asked_for() {
        let refused = |status: &ClusterStatus| ask(status, None).unwrap_err().what;
        let mut alone = cluster();
        alone.members.truncate(1);
        assert_eq!(refused(&alone), "there is no other member");
        let mut paused = cluster();
        at(&mut paused, "db-3").seen.paused = true;
        assert!(refused(&paused).contains("maintenance"));
        let mut down = cluster();
        at(&mut down, "db-1").serves = false;
        assert!(refused(&down).contains("nothing to hand over"));
        let unknown = ask(&cluster(), Some(&name("db-9"))).unwrap_err();
        assert_eq!(unknown.next, "one of: db-1, db-2, db-3");
        let is = ask(&cluster(), Some(&name("db-1")));
        assert_eq!(is, Ok(Ask::Is(name("db-1"))));
    }

    #[test]
    fn only_an_answer_to_this_very_request_counts() {
        let mut now = cluster();
        let refusal = Refused {
            why: "it lags".to_owned(),
            is_final: true,
        };
        at(&mut now, "db-1").refusal = Some(refusal);
        assert_eq!(
            outcome(&now, &wanted()),
            Outcome::Waiting,
            "an earlier one's"
        );
        at(&mut now, "db-1").seen = RequestRecord {
            switchover: Some(wanted()),
            ..RequestRecord::default()
        };
        assert_eq!(
            outcome(&now, &wanted()),
            Outcome::Refused("it lags".to_owned())
        );
        at(&mut now, "db-1").refusal = None;
        assert_eq!(outcome(&now, &wanted()), Outcome::Held);
        hand_over(&mut now, "db-2");
        at(&mut now, "db-2").serves = false;
        assert_eq!(outcome(&now, &wanted()), Outcome::Held);
        at(&mut now, "db-2").serves = true;
        let done = Outcome::Done {
            primary: name("db-2"),
            generation: Generation(5),
        };
        assert_eq!(outcome(&now, &wanted()), done);
        hand_over(&mut now, "db-3");
        assert_eq!(outcome(&now, &wanted()), Outcome::Another(name("db-3")));
    }
}
