//! Schedules with a clock that is moved by hand, over a real store.

use super::Agenda;
use store::{Change, RanSchedule, ScheduleFilter, ScheduleState, SimRow, StateChange, Store};
use types::{DataNetwork, Imsi, Mono, Now, SimState, Utc};

const HOUR: u64 = 3_600_000;

struct World {
    store: Store,
    agenda: Agenda,
    now: Now,
    ran: Vec<RanSchedule>,
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().expect("an IMSI")
}

fn by(actor: &str, at: Utc) -> Change {
    Change { reason: "contract".to_owned(), ticket: "HR-1".to_owned(), ..Change::by_system(actor, at) }
}

fn sim(n: u32, state: SimState) -> SimRow {
    SimRow { state, dnns: vec!["corp".parse().expect("a name")], ..store::lab::sim(imsi(n)) }
}

impl World {
    /// SIMs 1 to 5, in use.
    async fn new() -> Self {
        let store = Store::open("sqlite::memory:").await.expect("a store");
        let now = Now { mono: Mono(5_000_000_000), utc: Utc(1_800_000_000_000) };
        let dn = DataNetwork {
            dnn: "corp".parse().expect("a name"),
            pool: "10.20.0.0/16".parse().expect("a prefix"),
            pool6: None,
            dns: vec![],
            mtu: 1400,
        };
        store.create(dn, None, &by("init", now.utc)).await.expect("made");
        for n in 1..=5 {
            store.create_sim(sim(n, SimState::Active), &by("init", now.utc)).await.expect("made");
        }
        Self { store, agenda: Agenda::default(), now, ran: Vec::new() }
    }

    async fn plan(&self, n: u32, in_ms: u64, to: SimState) -> u64 {
        let at = Utc(self.now.utc.0 + in_ms as i64);
        self.store.add_schedule(imsi(n), at, to, &by("alice", self.now.utc)).await.expect("planned").id
    }

    /// The control process starts, or hears that schedules changed.
    async fn read(&mut self) {
        let all = self.store.waiting_schedules().await.expect("read");
        self.agenda.load(all, self.now);
        self.wake().await;
    }

    /// Runs what is due, as the loop does at its timer.
    async fn wake(&mut self) {
        while self.agenda.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            for id in self.agenda.due(self.now) {
                self.ran.extend(self.store.run_schedule(id, self.now.utc).await.expect("run"));
                self.agenda.finished(id);
            }
        }
    }

    /// Time passes on both clocks, and the loop wakes when it asked to.
    async fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.agenda.poll_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now.plus_ms(at.ms_since(self.now.mono).max(1));
            self.wake().await;
        }
        self.now = end;
    }

    async fn state(&self, n: u32) -> SimState {
        self.store.sim(imsi(n)).await.expect("there").state
    }

    fn told(&self) -> Vec<(Imsi, Option<SimState>, &str)> {
        self.ran.iter().map(|r| (r.row.imsi, r.from, r.row.outcome.as_deref().unwrap_or("done"))).collect()
    }
}

#[tokio::test]
async fn a_suspension_and_its_resumption_come_when_they_are_due_and_not_before() {
    let mut w = World::new().await;
    w.plan(1, 2 * HOUR, SimState::Suspended).await;
    w.plan(1, 5 * HOUR, SimState::Active).await;
    w.read().await;
    w.pass(2 * HOUR - 1_000).await;
    assert_eq!((w.state(1).await, w.ran.len()), (SimState::Active, 0));
    w.pass(1_001).await;
    assert_eq!(w.state(1).await, SimState::Suspended);
    w.pass(3 * HOUR).await;
    assert_eq!(w.state(1).await, SimState::Active);
    assert_eq!(w.agenda.poll_timeout(), None, "nothing waits, nothing wakes");

    let history = w.store.sim_history(imsi(1), 9).await.expect("read");
    assert_eq!((history[0].actor.as_str(), history[0].ticket.as_str()), ("scheduled by alice", "HR-1"));
    let audit = w.store.audit(Some(format!("sim:{}", imsi(1))), None, 20).await.expect("read").items;
    assert!(audit.iter().any(|r| r.action == "sim.state" && r.actor == "scheduled by alice"));
}

#[tokio::test]
async fn what_fell_due_while_nobody_ran_is_done_at_start_in_its_order() {
    let mut w = World::new().await;
    // Planned out of order: a resumption behind its suspension, and a retirement behind both.
    w.plan(1, 3 * HOUR, SimState::Active).await;
    w.plan(2, 4 * HOUR, SimState::Retired).await;
    w.plan(1, HOUR, SimState::Suspended).await;
    w.now = w.now.plus_ms(10 * HOUR);
    w.agenda = Agenda::default();
    w.read().await;
    let a = Some(SimState::Active);
    assert_eq!(
        w.told(),
        [(imsi(1), a, "done"), (imsi(1), Some(SimState::Suspended), "done"), (imsi(2), a, "done")]
    );
    let gone = w.store.sim(imsi(2)).await.expect("there");
    assert_eq!(
        (gone.state, gone.sealed, gone.fingerprint),
        (SimState::Retired, None, None),
        "its key is destroyed"
    );
    // A second start runs nothing twice.
    w.read().await;
    assert_eq!(w.ran.len(), 3);
}

#[tokio::test]
async fn a_resumption_never_takes_a_ban_back_and_says_so() {
    let mut w = World::new().await;
    w.plan(1, HOUR, SimState::Suspended).await;
    w.plan(1, 2 * HOUR, SimState::Active).await;
    w.read().await;
    w.pass(HOUR + 1).await;
    let soc = by("soc", w.now.utc);
    w.store.change_sim_state(imsi(1), SimState::Lost, StateChange::Ban, &soc).await.expect("banned");
    // An end date of a banned SIM does not turn `lost` into `suspended` either.
    w.store.set_end_date(imsi(1), Some(Utc(w.now.utc.0 + HOUR as i64 / 2)), &soc).await.expect("set");
    w.read().await;
    w.pass(2 * HOUR).await;
    assert_eq!(w.state(1).await, SimState::Lost);
    assert_eq!(w.told()[1..], [(imsi(1), None, "banned"), (imsi(1), None, "banned")]);
    let audit = w.store.audit(Some(format!("sim:{}", imsi(1))), None, 20).await.expect("read").items;
    assert_eq!(audit.iter().filter(|r| r.action == "schedule.drop").count(), 2);
    // A retirement ends a banned SIM, for nothing lives by it.
    w.plan(1, HOUR, SimState::Retired).await;
    w.read().await;
    w.pass(HOUR + 1).await;
    assert_eq!(w.state(1).await, SimState::Retired);
}

#[tokio::test]
async fn a_contractor_s_end_date_is_moved_and_taken_away() {
    let mut w = World::new().await;
    let day = |w: &World, hours: u64| Some(Utc(w.now.utc.0 + (hours * HOUR) as i64));
    let hr = by("hr", w.now.utc);
    w.store.set_end_date(imsi(1), day(&w, 2), &hr).await.expect("set");
    w.store.set_end_date(imsi(1), day(&w, 8), &hr).await.expect("moved");
    w.store.set_end_date(imsi(2), day(&w, 2), &hr).await.expect("set");
    assert_eq!(w.store.set_end_date(imsi(2), None, &hr).await.expect("taken away"), None);
    let filter = ScheduleFilter { state: Some(ScheduleState::Waiting), ..ScheduleFilter::default() };
    assert_eq!(w.store.schedules(&filter, None, 9).await.expect("read").items.len(), 1);
    w.read().await;
    w.pass(3 * HOUR).await;
    assert_eq!(w.state(1).await, SimState::Active);
    w.pass(6 * HOUR).await;
    assert_eq!((w.state(1).await, w.state(2).await), (SimState::Suspended, SimState::Active));
}

#[tokio::test]
async fn what_was_cancelled_is_not_run() {
    let mut w = World::new().await;
    let id = w.plan(1, HOUR, SimState::Suspended).await;
    w.read().await;
    let cancelled = w.store.cancel_schedule(id, &by("bob", w.now.utc)).await.expect("cancelled");
    assert_eq!(cancelled.state, ScheduleState::Cancelled);
    // Nobody told the agenda: the store refuses all the same.
    w.pass(2 * HOUR).await;
    assert_eq!((w.state(1).await, w.ran.len()), (SimState::Active, 0));
    assert_eq!(w.store.cancel_schedule(id, &by("bob", w.now.utc)).await, Err(store::StoreError::NotFound));
}

#[tokio::test]
async fn a_wall_clock_that_steps_is_followed() {
    let mut w = World::new().await;
    w.plan(1, 6 * HOUR, SimState::Suspended).await;
    w.plan(2, 8 * HOUR, SimState::Suspended).await;
    w.read().await;
    // Forward by seven hours (the battery of the board was empty): found within seconds.
    w.now.utc = Utc(w.now.utc.0 + 7 * HOUR as i64);
    w.pass(10_001).await;
    assert_eq!(w.state(1).await, SimState::Suspended);
    // Back by two: what was done is not done again, and the other one waits for the clock to come there.
    w.now.utc = Utc(w.now.utc.0 - 2 * HOUR as i64);
    w.pass(2 * HOUR).await;
    assert_eq!((w.state(2).await, w.ran.len()), (SimState::Active, 1));
    w.pass(HOUR + 10_001).await;
    assert_eq!((w.state(2).await, w.ran.len()), (SimState::Suspended, 2));
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_with_its_reason() {
    let mut w = World::new().await;
    let by = by("alice", w.now.utc);
    let set = async |n, to| w.store.change_sim_state(imsi(n), to, StateChange::Ordinary, &by).await.map(drop);
    set(1, SimState::Stock).await.expect("changed");
    set(2, SimState::Suspended).await.expect("changed");
    w.plan(1, HOUR, SimState::Active).await;
    w.plan(1, HOUR, SimState::Suspended).await;
    w.plan(2, HOUR, SimState::Suspended).await;
    w.plan(3, HOUR, SimState::Active).await;
    w.plan(4, HOUR, SimState::Active).await;
    set(4, SimState::Retired).await.expect("changed");
    assert!(
        w.store.add_schedule(imsi(4), w.now.utc, SimState::Active, &by).await.is_err(),
        "nothing is before it"
    );
    w.read().await;
    w.pass(HOUR + 1).await;
    let words: Vec<_> = w.told().into_iter().map(|t| t.2).collect();
    assert_eq!(words, ["not-suspended", "not-allowed", "already", "already", "retired"]);
    assert_eq!(w.state(1).await, SimState::Stock, "a resumption takes nothing out of the drawer");
}
