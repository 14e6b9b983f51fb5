//! Clones: the true ones are found, by each of the two proofs; what honest people do raises nothing.

use crate::ue::Ue;
use crate::world::{A, B, World};
use access::nr::{AssocId, Input};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use types::{CloneProof, CloneSuspicion, FgGuti, Happening, Pei, Sqn};
use wire::nas::fgs::{NgKsi, RegistrationType};
use wire::nas::security::NasContext;

fn found(w: &World) -> Vec<CloneProof> {
    let of = |h: &Happening| match h {
        Happening::CloneFound { proof, .. } => Some(proof.clone()),
        _ => None,
    };
    w.events.iter().filter_map(|e| of(&e.what)).collect()
}

fn suspected(w: &World) -> Vec<CloneSuspicion> {
    let of = |h: &Happening| match h {
        Happening::CloneSuspected { why, .. } => Some(*why),
        _ => None,
    };
    w.events.iter().filter_map(|e| of(&e.what)).collect()
}

/// The battery was pulled: nothing of the phone's state is left.
fn power_lost(ue: &mut Ue) {
    ue.forget();
}

fn two_gnbs(n: usize) -> World {
    let mut w = World::new(n);
    w.gnb_up(B, 2);
    w.run();
    w
}

#[test]
fn a_copied_context_that_is_used_beside_its_owner_is_found() {
    let mut w = two_gnbs(1);
    w.attach(0, A);
    let x = w.clone_of(0);
    (w.ues[x].context, w.ues[x].guti, w.ues[x].ksi) = (w.ues[0].context.clone(), w.ues[0].guti, w.ues[0].ksi);
    w.ues[x].habits.wrong_res = true; // It has the context and not K.

    power_lost(&mut w.ues[0]);
    w.attach(0, A);
    // At once it may be a message that was long on its way.
    let nas = w.ues[x].register(RegistrationType::MobilityUpdating);
    w.arrive(x, B, nas);
    w.run();
    assert_eq!((found(&w), w.refused("late-old-context")), (vec![], 1));

    w.pass_ms(61_000);
    let nas = w.ues[x].register(RegistrationType::MobilityUpdating);
    w.arrive(x, B, nas);
    w.run();
    let all = found(&w);
    let [CloneProof::OldContext { count, last, .. }] = all.as_slice() else { panic!("{all:?}") };
    assert!(count > last);
    let what = w.events.iter().find_map(|e| match &e.what {
        Happening::CloneFound { seen, before, .. } => Some((seen.gnb.clone(), before.gnb.clone())),
        _ => None,
    });
    let (seen, before) = what.unwrap();
    assert_ne!(seen, before, "evidence names both places");
    assert!(w.ues[0].registered && w.view(0).is_some(), "its owner goes on");
    assert!(!w.ues[x].registered);

    // The same message once more is a replay and proves nothing.
    let before = found(&w).len();
    let c = w.ues[x].context.clone();
    let nas = w.ues[x].register(RegistrationType::MobilityUpdating);
    w.arrive(x, B, nas.clone());
    w.run();
    assert_eq!(found(&w).len(), before + 1);
    w.ues[x].context = c;
    w.arrive(x, B, nas);
    w.run();
    assert_eq!(found(&w).len(), before + 1);
}

#[test]
fn a_copied_card_is_found_when_both_are_there() {
    let mut w = two_gnbs(1);
    w.attach(0, A);
    let x = w.clone_of(0);
    w.attach(x, B);
    assert!(w.ues[x].registered);
    w.pass_ms(70_000);
    // The owner's phone has not noticed and goes on as it is used to.
    let nas = w.ues[0].register(RegistrationType::MobilityUpdating);
    w.arrive(0, A, nas);
    w.run();
    assert!(matches!(found(&w).as_slice(), [CloneProof::OldContext { .. }]), "{:?}", w.events);
}

/// Registrations from nothing, by turns, so many, 5 s apart.
fn by_turns(w: &mut World, who: [usize; 2], turns: usize) {
    for n in 0..turns {
        let u = who[n % 2];
        power_lost(&mut w.ues[u]);
        w.attach(u, [A, B][n % 2]);
        assert!(w.ues[u].registered);
        w.pass_ms(5_000);
    }
}

#[test]
fn a_copied_card_with_an_array_of_its_own_fails_the_probe() {
    let mut w = two_gnbs(1);
    let x = w.clone_of(0);
    by_turns(&mut w, [0, x], 4);
    assert_eq!((suspected(&w), found(&w)), (vec![CloneSuspicion::AlternatingPlaces], vec![]));
    power_lost(&mut w.ues[0]);
    w.attach(0, A);
    assert_eq!(found(&w), [CloneProof::ProbeAccepted]);
    assert!(w.ues[0].registered, "what becomes of it is policy");
    assert_eq!(suspected(&w).len(), 1, "told once");
}

#[test]
fn one_card_passes_every_probe() {
    let mut w = two_gnbs(1);
    by_turns(&mut w, [0, 0], 12);
    assert_eq!(suspected(&w), [CloneSuspicion::AlternatingPlaces]);
    assert_eq!(found(&w), []);
    assert_eq!(w.refused("claim"), 0, "and is served each time");
    // A new card of new keys is not judged by the old card's challenge.
    w.pass_ms(1_000);
    let new = w.clone_of(0);
    w.rekey(0);
    let card = w.card(0);
    w.ues[new].usim = card;
    w.attach(new, A);
    assert!(w.ues[new].registered);
    assert_eq!(found(&w), []);
}

#[test]
fn a_card_that_says_it_never_accepted_what_it_accepted_is_suspect() {
    let mut w = two_gnbs(1);
    let far = 1 << 29;
    w.set_seq(0, far);
    let before = Sqn::from_seq_ind(far, 0, 5).unwrap();
    w.ues[0].usim = w.card(0).with_sqn(before);
    w.attach(0, A);
    assert!(w.ues[0].registered);
    let x = w.clone_of(0);
    w.attach(x, B);
    assert_eq!(suspected(&w), [CloneSuspicion::SequenceWentBack]);
    // It is probed at once, and says under MAC-S what the owner's card cannot say.
    let all = found(&w);
    let [CloneProof::ProbeBehind { sqn, sqn_ms }] = all.as_slice() else { panic!("{all:?}") };
    assert!(sqn_ms < sqn);
    // The owner is the next to be probed and has not accepted what the other one did.
    power_lost(&mut w.ues[0]);
    w.ues[0].usim = w.card(0).with_sqn(before);
    w.attach(0, A);
    assert_eq!(found(&w).get(1..), Some([CloneProof::ProbeAccepted].as_slice()));
}

/// A phone: what it keeps while it lies in a drawer.
struct Phone {
    pei: Pei,
    kept: Option<(NasContext, Option<FgGuti>, NgKsi)>,
}

/// Ten thousand things that honest people do, from seeds: none raises an alert, and nothing grows without bound.
#[test]
fn ten_thousand_ordinary_moves_pulls_and_changes_raise_nothing() {
    const UES: usize = 40;
    const STEPS: usize = 10_000;
    let mut done = [0u64; 8];
    let mut refused = [0u64; 2];
    for seed in 0..4u8 {
        let mut rng = ChaCha12Rng::from_seed([seed + 1; 32]);
        let mut w = two_gnbs(UES);
        let drawer =
            |u: usize| Phone { pei: format!("imeisv-860123450{u:05}01").parse().unwrap(), kept: None };
        let mut drawers: Vec<Phone> = (0..UES).map(drawer).collect();
        let mut late: Vec<(usize, u64, u64, Vec<u8>)> = Vec::new();
        let mut gnbs = [A, B];
        let mut next_assoc = 10;
        for _ in 0..STEPS / 4 {
            let u = rng.next_u32() as usize % UES;
            let at = gnbs[rng.next_u32() as usize % 2];
            let what = rng.next_u32() as usize % 8;
            done[what] += 1;
            match what {
                // Moves with its context, or comes for the first time.
                0 | 1 => {
                    let nas = w.ues[u].register(RegistrationType::MobilityUpdating);
                    w.arrive(u, at, nas);
                }
                // Its battery is pulled; a last message may still be on its way.
                2 => {
                    if w.ues[u].context.is_some() {
                        let nas = w.ues[u].register(RegistrationType::PeriodicUpdating);
                        late.push((u, w.now.mono.0, u64::from(rng.next_u32() % 50) * 1_000_000_000, nas));
                    }
                    power_lost(&mut w.ues[u]);
                    w.places[u] = None;
                    w.attach(u, at);
                }
                // The card goes into the phone from the drawer, which may have kept its context; the other one is off.
                3 | 4 => {
                    w.places[u] = None;
                    w.pass_ms(20_000 + u64::from(rng.next_u32() % 90_000));
                    let ue = &mut w.ues[u];
                    let kept = ue.context.take().map(|c| (c, ue.guti, ue.ksi));
                    let other = std::mem::replace(&mut drawers[u], Phone { pei: ue.imeisv, kept });
                    ue.forget();
                    ue.imeisv = other.pei;
                    if let Some((c, guti, ksi)) = other.kept {
                        (ue.context, ue.guti, ue.ksi) = (Some(c), guti, ksi);
                    }
                    let nas = w.ues[u].register(RegistrationType::Initial);
                    w.arrive(u, at, nas);
                }
                // The radio link is lost and found.
                5 => {
                    if w.places[u].as_ref().is_some_and(|p| p.amf.is_some()) {
                        w.go_idle(u);
                    }
                    let nas = w.ues[u].register(RegistrationType::MobilityUpdating);
                    w.arrive(u, at, nas);
                }
                // A message comes twice, and in the wrong order.
                6 => {
                    if w.ues[u].context.is_some() && w.places[u].is_some() {
                        let first = w.ues[u].register(RegistrationType::PeriodicUpdating);
                        let second = w.ues[u].register(RegistrationType::PeriodicUpdating);
                        for nas in [second.clone(), first, second] {
                            w.say(u, nas);
                        }
                    }
                }
                // A gNB restarts.
                _ => {
                    let n = rng.next_u32() as usize % 2;
                    w.inbox.push_back(Input::AssocDown { assoc: gnbs[n] });
                    for p in &mut w.places {
                        if p.as_ref().is_some_and(|p| p.assoc == gnbs[n]) {
                            *p = None;
                        }
                    }
                    next_assoc += 1;
                    gnbs[n] = AssocId(next_assoc);
                    w.gnb_up(gnbs[n], n as u32 + 1);
                }
            }
            w.run();
            w.pass_ms(1_000 + u64::from(rng.next_u32() % 20_000));
            let now = w.now.mono.0;
            let (due, rest) =
                std::mem::take(&mut late).into_iter().partition(|(_, made, after, _)| made + after <= now);
            late = rest;
            for (u, made, _, nas) in due {
                // Nothing is on its way for longer: by then SCTP has given up.
                if now - made > 55_000_000_000 {
                    continue;
                }
                let keep = w.places[u].take();
                w.arrive(u, at, nas);
                // Nobody is there to hear the answer.
                w.places[u] = keep;
                w.run();
            }
        }
        assert_eq!((found(&w), suspected(&w)), (vec![], vec![]), "seed {seed}");
        let (past, watched) = w.amf.watched();
        assert!(past <= UES && watched <= UES, "{past} old contexts of {watched} SIMs");
        refused[0] += w.refused("late-old-context");
        refused[1] += w.refused("old-context");
        w.events.clear();
    }
    println!("{done:?} things; old contexts used: {} at once, {} later", refused[0], refused[1]);
    assert!(refused[0] > 20 && refused[1] > 20, "the hard cases were among them: {refused:?}");
}
