//! Networks behind SIMs: which session carries them. They are the company's, not the control plane's that steers the
//! session: no PFCP message names one, and whoever steers a SIM's session in the data network carries its routes.

use super::N4;
use super::change::Done;
use crate::batch::ShardId;
use crate::command::ShardCommand;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use types::{Dnn, FramedRoute, Imsi, Seid};

/// All routes, by whose they are and where.
pub(super) type Routes = BTreeMap<(Imsi, Dnn), Vec<IpNet>>;

impl N4 {
    /// All routes of all SIMs, in place of those before. The shards are told what is different: first what ends, so that no
    /// network ever lies behind two.
    pub fn set_routes(&mut self, all: Vec<FramedRoute>) {
        let mut new = Routes::new();
        for r in all {
            new.entry((r.imsi, r.dnn)).or_default().push(r.prefix.net());
        }
        let old = std::mem::replace(&mut self.routes, new);
        let mut commands = Vec::new();
        let differ: Vec<_> =
            old.keys().chain(self.routes.keys()).filter(|k| old.get(k) != self.routes.get(k)).collect();
        let sessions: BTreeSet<Seid> =
            differ.into_iter().filter_map(|(imsi, dnn)| self.carrier(*imsi, dnn)).collect();
        for &seid in &sessions {
            self.lose_routes(seid, &mut commands);
        }
        for &seid in &sessions {
            self.carry(seid, &mut commands);
            if let Some(e) = self.sessions.get(&seid) {
                commands.push((e.shard, ShardCommand::Update { spec: e.spec(seid), end_marker: false }));
            }
        }
        self.start(commands, Done::Nothing { rest: Vec::new() });
    }

    /// The session of a SIM in a data network that carries its routes: the one that does already, else any.
    fn carrier(&self, imsi: Imsi, dnn: &Dnn) -> Option<Seid> {
        let mine = self.by_supi.get(&types::Supi(imsi))?;
        let there = |s: &&Seid| self.sessions.get(s).is_some_and(|e| e.identity.dnn.as_ref() == Some(dnn));
        let carries = |s: &&Seid| self.sessions.get(s).is_some_and(|e| !e.routes.is_empty());
        let mut all = mine.iter().filter(there);
        all.clone().find(carries).or_else(|| all.next_back()).copied()
    }

    /// Gives a session the routes of its SIM there. Another session that carried them does so no longer.
    pub(super) fn carry(&mut self, seid: Seid, commands: &mut Vec<(ShardId, ShardCommand)>) {
        let Some(e) = self.sessions.get(&seid) else { return };
        let Some(dnn) = e.identity.dnn.clone() else { return };
        let (supi, shard) = (e.identity.supi, e.shard);
        let routes = self.routes.get(&(supi.imsi(), dnn.clone())).cloned().unwrap_or_default();
        let mine = self.by_supi.get(&supi).into_iter().flatten();
        let before: Vec<Seid> = mine.copied().filter(|s| *s != seid).collect();
        for other in before {
            let carries = |e: &super::Entry| e.identity.dnn.as_ref() == Some(&dnn) && !e.routes.is_empty();
            if self.sessions.get(&other).is_some_and(carries) {
                self.lose_routes(other, commands);
            }
        }
        for prefix in &routes {
            let on = |s| (s, ShardCommand::RouteOwner { prefix: *prefix, shard, on: true });
            commands.extend(self.all_shards().map(on));
        }
        if let Some(e) = self.sessions.get_mut(&seid) {
            e.routes = routes;
        }
    }

    fn lose_routes(&mut self, seid: Seid, commands: &mut Vec<(ShardId, ShardCommand)>) {
        let Some(e) = self.sessions.get_mut(&seid).filter(|e| !e.routes.is_empty()) else { return };
        let routes = std::mem::take(&mut e.routes);
        let shard = e.shard;
        commands.push((shard, ShardCommand::Update { spec: e.spec(seid), end_marker: false }));
        commands.extend(self.routes_off(&routes, shard));
    }

    /// The commands that say that these lie behind nobody.
    pub(super) fn routes_off(&self, routes: &[IpNet], shard: ShardId) -> Vec<(ShardId, ShardCommand)> {
        let off = |prefix: &IpNet| {
            let prefix = *prefix;
            self.all_shards().map(move |s| (s, ShardCommand::RouteOwner { prefix, shard, on: false }))
        };
        routes.iter().flat_map(off).collect()
    }
}
