//! Lists, bindings and learnt devices in the store.

use super::{T0, by, imsi, on_both, sim, site};
use crate::{AuditVerdict, DeviceSeen, EquipmentEntry, EquipmentFilter, Imported, SimEdit, StoreError};
use types::{Binding, BindingMode, Colour, DevicePattern, Name, OnClone, WhenMissing};

fn listed(s: &str) -> types::EquipmentPattern {
    s.parse().unwrap()
}

fn pattern(s: &str) -> DevicePattern {
    s.parse().unwrap()
}

fn entry(p: &str, colour: Colour) -> EquipmentEntry {
    EquipmentEntry { pattern: listed(p), colour, label: format!("thing {p}"), reason: "bought".to_owned() }
}

fn group(s: &str) -> Name {
    s.parse().unwrap()
}

fn learn() -> Binding {
    Binding { mode: BindingMode::Learn, when_missing: WhenMissing::Refuse, ..Binding::default() }
}

on_both!(an_entry_is_put_changed_and_taken_away_by_its_version, |store| {
    let made = store.put_equipment(entry("35693803", Colour::Grey), Some(0), &by("alice")).await.unwrap();
    assert_eq!((made.version, made.created), (1, T0));
    let again = store.put_equipment(entry("35693803", Colour::Black), Some(0), &by("bob")).await;
    assert_eq!(again, Err(StoreError::VersionMismatch { current: 1 }));
    let black = store.put_equipment(entry("35693803", Colour::Black), Some(1), &by("bob")).await.unwrap();
    assert_eq!((black.version, black.colour), (2, Colour::Black));

    let many = vec![
        entry("35693803", Colour::Black),
        entry("35693803564380", Colour::White),
        entry("86012345", Colour::White),
    ];
    let done = store.import_equipment(many.clone(), &by("carol")).await.unwrap();
    assert_eq!(done, Imported { new: 2, changed: 0, same: 1 });
    assert_eq!(store.import_equipment(many, &by("carol")).await.unwrap().same, 3);
    let book = store.equipment_book().await.unwrap();
    assert_eq!(book.len(), 3);
    assert!(book.contains(&(listed("35693803564380"), Colour::White)));

    let white = EquipmentFilter { colour: Some(Colour::White), text: None };
    let first = store.equipment(&white, None, 1).await.unwrap();
    assert_eq!(first.items[0].pattern, listed("35693803564380"));
    let second = store.equipment(&white, first.next.as_deref(), 1).await.unwrap();
    assert_eq!((second.items[0].pattern, second.next), (listed("86012345"), None));
    let text = EquipmentFilter { colour: None, text: Some("860123".to_owned()) };
    assert_eq!(store.equipment(&text, None, 10).await.unwrap().items.len(), 1);

    let stale = store.delete_equipment(listed("35693803"), Some(1), &by("bob")).await;
    assert_eq!(stale, Err(StoreError::VersionMismatch { current: 2 }));
    store.delete_equipment(listed("35693803"), Some(2), &by("bob")).await.unwrap();
    assert_eq!(store.equipment_entry(listed("35693803")).await, Err(StoreError::NotFound));
    // Two puts, two of the import, one deletion: each has its row, what was the same has none.
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: 5 });
});

on_both!(the_first_binding_that_there_is_holds, |store| {
    site(&store).await;
    let mut row = sim(1);
    row.groups = ["staff".parse().unwrap(), "plc".parse().unwrap()].into();
    store.create_sim(row, &by("alice")).await.unwrap();
    store.create_sim(sim(2), &by("alice")).await.unwrap();
    assert_eq!(store.binding(imsi(1)).await.unwrap().binding(), Binding::default());

    let model =
        Binding { mode: BindingMode::Model, allowed: vec![pattern("35693803")], ..Binding::default() };
    store.bind_group(group("staff"), Some(learn()), Some(0), &by("alice")).await.unwrap();
    store.bind_group(group("plc"), Some(model.clone()), Some(0), &by("alice")).await.unwrap();
    let b = store.binding(imsi(1)).await.unwrap();
    assert_eq!(b.inherited, Some((group("plc"), model.clone())), "the strictest of its groups");
    assert_eq!(b.binding(), model);
    assert_eq!(store.binding(imsi(2)).await.unwrap().binding(), Binding::default());
    assert_eq!(store.all_bindings().await.unwrap(), [(imsi(1), b.bound())]);

    // Its own goes before its groups'; the SIM's version is the binding's.
    let own = Binding { on_clone: OnClone::Quarantine, ..learn() };
    let stale = store.bind_sim(imsi(1), Some(own.clone()), Some(9), &by("bob")).await;
    assert_eq!(stale, Err(StoreError::VersionMismatch { current: 1 }));
    let b = store.bind_sim(imsi(1), Some(own.clone()), Some(1), &by("bob")).await.unwrap();
    assert_eq!((b.version, b.binding()), (2, own));
    assert_eq!(store.sim(imsi(1)).await.unwrap().device, None);

    // The short form of the SIM's own API replaces it, and is replaced by it.
    let device = Some(Some("35693803564380".to_owned()));
    let edit = SimEdit { device, ..SimEdit::default() };
    store.change_sim(imsi(1), Some(2), None, edit, &by("bob")).await.unwrap();
    let b = store.binding(imsi(1)).await.unwrap();
    assert_eq!(b.own, Some(Binding::exactly(pattern("35693803564380"))));
    assert_eq!(store.all_bindings().await.unwrap(), [(imsi(1), b.bound())]);
    let exact = Binding { when_missing: WhenMissing::Allow, ..Binding::exactly(pattern("11111111111111")) };
    store.bind_sim(imsi(1), Some(exact.clone()), None, &by("bob")).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().device.as_deref(), Some("11111111111111"));
    assert_eq!(store.binding(imsi(1)).await.unwrap().own, Some(exact));
    store.bind_sim(imsi(1), None, None, &by("bob")).await.unwrap();
    assert_eq!(store.binding(imsi(1)).await.unwrap().binding(), model, "its groups' again");

    assert_eq!(
        store.bind_group(group("ghosts"), Some(learn()), None, &by("x")).await,
        Err(StoreError::NotFound)
    );
    store.bind_group(group("plc"), None, Some(1), &by("alice")).await.unwrap();
    assert_eq!(store.binding(imsi(1)).await.unwrap().binding(), learn());
});

on_both!(a_device_is_learnt_once_and_forgotten_on_request, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let seen = |d: &str, replace| DeviceSeen { imsi: imsi(1), device: pattern(d), replace };
    let ghost = DeviceSeen { imsi: imsi(9), device: pattern("35693803564380"), replace: true };
    let (a, b) = ("35693803564380", "11111111111111");
    assert_eq!(store.learn_devices(vec![seen(a, false), ghost], T0).await.unwrap(), [true, false]);
    assert_eq!(store.learn_devices(vec![seen(a, false), seen(b, false)], T0).await.unwrap(), [true, false]);
    assert_eq!(store.binding(imsi(1)).await.unwrap().learned.unwrap().device, pattern(a));
    assert_eq!(store.learn_devices(vec![seen(b, true)], T0).await.unwrap(), [true]);
    assert_eq!(store.all_bindings().await.unwrap()[0].1.learned, Some(pattern(b)));
    let rows = store.audit(None, None, 100).await.unwrap().items;
    assert_eq!(rows.iter().filter(|r| r.action == "sim.device-learned").count(), 2, "each once");
    assert_eq!(store.forget_device(imsi(1), &by("alice")).await.unwrap().learned, None);
    assert_eq!(store.learn_devices(vec![seen(a, false)], T0).await.unwrap(), [true]);
});
