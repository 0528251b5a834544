//! What a session's next read must not fall behind: the primary's position, asked for when what was
//! read elsewhere is not known to be covered by it.
//!
//! Servers report the position of writes only. But no replica has what the primary does not have, and
//! whatever was read from either was in the primary's binary log by then: so the primary's position
//! of now covers it. Asked once where a session changes the server it reads from, not for each read.

use mysql::gtid::mariadb::Position;
use mysql::packet::Idle;
use site::name::MemberName;
use site::target::Consistency;

use super::Session;
use super::last::asked_over;
use crate::limits::CONNECT;
use crate::route::Because;
use crate::snapshot::Snapshot;
use crate::state::Last;

impl Session {
    /// Makes `state.seen` all that a read from `member` has to see.
    pub(super) async fn know_position(
        &mut self,
        snapshot: &Snapshot,
        member: &MemberName,
        consistency: Consistency,
    ) -> Result<(), Because> {
        if consistency == Consistency::Visitor
            && let Some(floor) = self.worker.floor.newer(&mut self.floor)
        {
            self.state.seen.join(&floor);
        }
        let covered = match consistency {
            Consistency::Eventual => true,
            Consistency::Session | Consistency::Visitor => {
                self.state.read.is_none() || self.state.reader() == Some(member)
            }
            Consistency::Strong => false,
        };
        if covered {
            return Ok(());
        }
        let asked = tokio::time::timeout(CONNECT, self.ask_position(snapshot)).await;
        match asked.ok().flatten() {
            Some(position) => {
                self.state.seen.join(&position);
                self.state.read = None;
                Ok(())
            }
            None => {
                // What was under way is unknown; the next statement opens another one.
                self.lose_primary();
                self.note_threads();
                Err(Because::Behind)
            }
        }
    }

    /// Everything the primary has committed.
    async fn ask_position(&mut self, snapshot: &Snapshot) -> Option<Position> {
        let member = snapshot.servers.primary.as_ref()?;
        let generation = snapshot.servers.generation;
        let good = self.primary.as_mut().is_some_and(|primary| {
            primary.member == *member
                && primary.generation == generation
                && primary.channel.idle() == Idle::Quiet
        });
        if !good {
            self.lose_primary();
            let patience = snapshot.target.causal_wait;
            let connected = self.connect(snapshot, member, patience).await;
            self.primary = Some(connected.ok()?);
            self.note_threads();
        }
        asked_over(&mut self.state, self.left, Last::Primary);
        let row = self.primary.as_mut()?.ask("SELECT @@gtid_binlog_pos").await;
        row.ok()?.first()?.as_deref()?.parse().ok()
    }
}
