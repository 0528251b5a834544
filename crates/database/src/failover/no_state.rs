//! Pure: who makes the cluster state when there is none.
//!
//! At the very first start nobody ever followed anybody, and the site file names who begins. When the
//! state was lost, the members' own memory of it counts, and only the whole of it: a member that was
//! not heard may have followed a later primary, whose writes would be lost.

use site::name::MemberName;

use super::decision::Reason;
use super::view::View;
use crate::record::{Generation, Obeyed};

/// The generation in which `me` may make itself primary now, or what is waited for.
pub fn claim(view: &View, me: &MemberName) -> Result<Generation, Reason> {
    let unheard = view
        .members
        .iter()
        .find(|member| member.name != *me && !view.peers.contains_key(&member.name));
    if let Some(member) = unheard {
        return Err(Reason::UntilHeard(member.name.clone()));
    }
    let peers = view.peers.values().map(|peer| &peer.obeyed);
    let all = peers.chain([&view.obeyed]);
    let newest: Option<&Obeyed> = all.flatten().max_by_key(|obeyed| obeyed.generation);
    match newest {
        None if view.first_primary => Ok(Generation::FIRST),
        None => Err(Reason::ForFirstPrimary),
        Some(obeyed) if obeyed.primary == *me => Ok(obeyed.generation.next()),
        Some(obeyed) => Err(Reason::ForPrimary(obeyed.primary.clone())),
    }
}
