//! The rows alone, beside the rules read one by one: compiling, an edit, a move, a decision; both answer the same questions.

use super::{Size, live, ms};
use crate::bench::{
    Spread,
    company::{APPS, NOW, address, facts, imsi, rule, set},
};
use anyhow::{Context, Result, ensure};
use pgw_policy::{
    Asker, Change, Compiled, Known, Policy, Question, Standing, clock, compile, decide_for, explain_for,
    plain::Plain,
};
use std::hint::black_box;
use types::{Direction, UeGroups};

/// How often the whole is compiled.
const COMPILED: usize = 7;
/// Decisions that are timed together.
const ASKED: usize = 1 << 16;
/// Questions that the walk is asked, and the rows with it.
const WALKED: usize = 2_000;
/// Of these the ones that `explain` is asked as well.
const EXPLAINED: usize = 64;
/// Edits and moves.
const CHANGED: u32 = 50;

#[derive(serde::Serialize)]
pub(super) struct Rows {
    pub classes: usize,
    /// Different hours that rules have.
    pub clocks: usize,
    pub compile_ms: Spread,
    pub edit_ms: Spread,
    pub move_ms: Spread,
    /// One fact of one SIM, as its word.
    pub fact_us: Spread,
    /// The same from the gateway's book to a shard in which the SIM's flow ends by it.
    pub fact_enforced_us: Spread,
    pub decide_ns: Spread,
    pub walk_ns: Spread,
    pub faster: f64,
    /// Of the questions, those that came out with an open door.
    pub allowed: usize,
    /// Of a session, a flow and a SIM.
    pub octets: [usize; 3],
    pub sim_entry: usize,
}

pub(super) fn measure(source: &Policy, size: Size) -> Result<Rows> {
    let whole = || -> Result<Compiled> {
        let found = |e: Vec<pgw_policy::PolicyError>| e.first().map(ToString::to_string).unwrap_or_default();
        let compiled = compile(source).map_err(|e| anyhow::anyhow!("{}", found(e)))?;
        Ok(by_the_clock(&compiled))
    };
    let compiled = whole()?;
    let compile_ms = (0..COMPILED).map(|_| ms(|| drop(black_box(whole())))).collect();
    let (edit_ms, move_ms) = changes(&compiled, size)?;
    let asked = asked(size)?;
    let mut known = Vec::with_capacity(asked.len());
    let mut fact_us = Vec::new();
    for (n, q) in &asked {
        let facts = facts(*n)?;
        fact_us.push(ms(|| known.push((compiled.class_of(q.imsi), compiled.known(&facts, NOW)))) * 1e3);
    }
    let all = || {
        for ((_, q), (class, known)) in asked.iter().zip(&known) {
            let asker = Asker::new(*class, known);
            black_box(decide_for(&compiled, &asker, q.direction, q.peer, q.protocol, q.port));
        }
    };
    let decide_ns = (0..COMPILED).map(|_| ms(all) * 1e6 / ASKED as f64).collect();
    let (walk_ns, allowed) = walk(source, &compiled, &asked, &known)?;
    let (decide_ns, walk_ns) = (Spread::of(decide_ns), Spread::of(walk_ns));
    let sims = size.sims as usize;
    let sim = (compiled.heap_of_sims() + compiled.heap_of_rows()).div_ceil(sims);
    let (session, flow) = pgw_policy::shard::octets();
    Ok(Rows {
        classes: compiled.classes(),
        clocks: compiled.clocks().len(),
        fact_enforced_us: live::facts_enforced(&compiled, size)?,
        sim_entry: compiled.heap_of_sims().div_ceil(sims),
        compile_ms: Spread::of(compile_ms),
        edit_ms: Spread::of(edit_ms),
        move_ms: Spread::of(move_ms),
        faster: walk_ns.median / decide_ns.median.max(1e-9),
        fact_us: Spread::of(fact_us),
        decide_ns,
        walk_ns,
        allowed,
        octets: [session, flow, sim],
    })
}

/// The rules' hours count as of now.
fn by_the_clock(compiled: &Compiled) -> Compiled {
    compiled.with_clocks(clock::word(compiled.clocks(), NOW)).0
}

/// Rules from one verdict to the other, and SIMs from one set to another.
fn changes(compiled: &Compiled, size: Size) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut edits, mut moves) = (Vec::new(), Vec::new());
    let with = |change: [Change; 1]| {
        ms(|| drop(black_box(compiled.with(&change, 2).map(|(next, _)| by_the_clock(&next)))))
    };
    for n in 0..CHANGED {
        let mut edited = rule(n * 199 % size.rules)?;
        edited.verdict = types::Verdict::Reject;
        edits.push(with([Change::Rule(edited)]));
        let groups = set(n + 1)?.into_iter().collect();
        let imsi = imsi(n * 1_009 % size.sims)?;
        moves.push(with([Change::Ue(UeGroups { imsi, groups, device: None, person: None })]));
    }
    Ok((edits, moves))
}

/// How long each walk of the rules took, nanoseconds, and how many let the flow through. Rows, walk and `explain` have to
/// say the same, or the figures mean nothing.
fn walk(
    source: &Policy,
    compiled: &Compiled,
    asked: &[(u32, Question)],
    known: &[(pgw_policy::ClassId, Known)],
) -> Result<(Vec<f64>, usize)> {
    let plain = Plain::new(source);
    let off = clock::off(&source.rules, NOW);
    let (mut times, mut allowed) = (Vec::new(), 0);
    for (nth, ((n, q), (class, known))) in asked.iter().zip(known).enumerate().take(WALKED) {
        let standing = Standing { facts: facts(*n)?, at: NOW, off: off.clone(), ..Standing::default() };
        let mut said = None;
        times.push(ms(|| said = Some(plain.ask(q, &standing))) * 1e6);
        let said = said.context("a word")?;
        let d = decide_for(compiled, &Asker::new(*class, known), q.direction, q.peer, q.protocol, q.port);
        let rule = d.rule.and_then(|r| compiled.rule_name(r));
        ensure!(
            (d.verdict, d.reason, rule) == (said.verdict, said.reason, said.rule),
            "rows and rules disagree about {q:?}"
        );
        if nth < EXPLAINED {
            let story = explain_for(source, q, &standing);
            ensure!((d.verdict, d.reason, rule) == (story.verdict, story.reason, story.rule.as_ref()));
        }
        allowed += usize::from(d.allows());
    }
    Ok((times, allowed))
}

/// SIMs to apps at random, half of them to one that a rule names for a group of theirs; each with the number of its SIM.
fn asked(size: Size) -> Result<Vec<(u32, Question)>> {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut of_group: std::collections::BTreeMap<types::Subject, Vec<types::Name>> = Default::default();
    for r in (0..size.rules).map(rule) {
        let r = r?;
        of_group.entry(r.subject).or_default().push(r.app);
    }
    let mut one = || {
        let (sim, mut app) = (chance.u32(..size.sims), chance.u32(..APPS));
        if let (true, Some(group)) = (chance.bool(), set(sim)?.into_iter().next()) {
            let apps = of_group.get(&types::Subject::Group(group));
            let named = apps.and_then(|apps| apps.get(chance.usize(..apps.len())));
            app = named.and_then(|a| a.as_str().get(1..)?.parse().ok()).unwrap_or(app);
        }
        let peer = address(app).into();
        anyhow::Ok((
            sim,
            Question { imsi: imsi(sim)?, direction: Direction::Out, peer, protocol: 6, port: 443 },
        ))
    };
    (0..ASKED).map(|_| one()).collect()
}
