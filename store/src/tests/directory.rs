//! People, devices, sites, and whose a SIM is.

use super::{T0, by, conflict, imsi, on_both, sim, site};
use crate::{Clash, Place, SimEdit, SimFilter, SimLinks, Store, StoreError, Within};
use types::{Device, DeviceKind, Imsi, Name, Person, Site, Utc};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn person(id: &str) -> Person {
    Person {
        id: name(id),
        name: "Tanaka Hanako".to_owned(),
        mail: None,
        employee: None,
        external: None,
        ends_at: None,
    }
}

fn device(id: &str, owner: Option<&str>) -> Device {
    Device {
        id: name(id),
        label: "Laptop".to_owned(),
        kind: DeviceKind::Laptop,
        imei: None,
        serial: None,
        owner: owner.map(name),
    }
}

fn plant(id: &str) -> Site {
    Site {
        id: name(id),
        name: "大阪工場".to_owned(),
        description: String::new(),
        tacs: [types::Tac::try_from(1).unwrap()].into(),
        cells: [0x10].into(),
        time_zone: None,
    }
}

fn link(device: Option<&str>, person: Option<&str>, site: Option<&str>) -> SimLinks {
    SimLinks { device: device.map(name), person: person.map(name), site: site.map(name) }
}

/// SIMs 1 to 4: one in Tanaka's laptop, one Tanaka's own, one of Sato's, one of nobody; 1 and 3 in Osaka, 1 and 2 staff.
async fn company(store: &Store) {
    site(store).await;
    for id in ["tanaka", "sato"] {
        store.create_entity(person(id), &by("it")).await.unwrap();
    }
    store.create_entity(device("pc-1", Some("tanaka")), &by("it")).await.unwrap();
    store.create_entity(plant("osaka"), &by("it")).await.unwrap();
    let links = [
        (1, link(Some("pc-1"), None, Some("osaka"))),
        (2, link(None, Some("tanaka"), None)),
        (3, link(None, Some("sato"), Some("osaka"))),
        (4, SimLinks::default()),
    ];
    for (n, links) in links {
        let mut row = sim(n);
        row.links = links;
        if n <= 2 {
            row.groups.insert(name("staff"));
        }
        store.create_sim(row, &by("it")).await.unwrap();
    }
}

fn imsis(all: &[u32]) -> Vec<Imsi> {
    all.iter().map(|n| imsi(*n)).collect()
}

on_both!(a_sim_is_found_by_person_device_group_and_site, |store| {
    company(&store).await;
    assert_eq!(
        store.sims_of_person(&name("tanaka")).await.unwrap(),
        imsis(&[1, 2]),
        "own and in an own device"
    );
    assert_eq!(store.sims_of_person(&name("sato")).await.unwrap(), imsis(&[3]));
    assert_eq!(store.sims_of_device(&name("pc-1")).await.unwrap(), imsis(&[1]));
    assert_eq!(store.sims_of_group(&name("staff")).await.unwrap(), imsis(&[1, 2]));
    assert_eq!(store.sims_of_site(&name("osaka")).await.unwrap(), imsis(&[1, 3]));
    assert_eq!(store.sims_of_site(&name("nowhere")).await.unwrap(), []);

    let place = Place { groups: [name("staff")].into(), site: Some(name("osaka")) };
    assert_eq!(store.place_of_sim(imsi(1)).await.unwrap(), place);
    assert_eq!(store.place_of_sim(imsi(4)).await.unwrap(), Place::default());
    assert_eq!(store.place_of_sim(imsi(99)).await, Err(StoreError::NotFound));
});

on_both!(a_sim_that_is_bound_to_an_imei_is_of_the_device_with_that_imei, |store| {
    company(&store).await;
    let mut pc = device("pc-1", Some("tanaka"));
    pc.imei = Some("490154203237518".parse().unwrap());
    store.replace_entity(pc, Some(1), &by("it")).await.unwrap();
    let exactly = types::Binding::exactly("49015420323751".parse().unwrap());
    store.bind_sim(imsi(4), Some(exactly), None, &by("it")).await.unwrap();
    assert_eq!(store.sims_of_device(&name("pc-1")).await.unwrap(), imsis(&[1, 4]));
    assert_eq!(store.sims_of_person(&name("tanaka")).await.unwrap(), imsis(&[1, 2, 4]));
});

on_both!(a_sim_that_was_last_used_in_a_device_is_of_it_until_it_is_used_elsewhere, |store| {
    company(&store).await;
    let mut pc = device("pc-1", Some("tanaka"));
    pc.imei = Some("490154203237518".parse().unwrap());
    store.replace_entity(pc, Some(1), &by("it")).await.unwrap();
    let seen = |d: &str, replace| crate::DeviceSeen { imsi: imsi(4), device: d.parse().unwrap(), replace };
    store.learn_devices(vec![seen("49015420323751", false)], Utc(5)).await.unwrap();
    assert_eq!(store.sims_of_device(&name("pc-1")).await.unwrap(), imsis(&[1, 4]));
    assert_eq!(store.sims_of_person(&name("tanaka")).await.unwrap(), imsis(&[1, 2, 4]));
    // What is kept in memory for the hour without a database says the same.
    let index = store.scope_index().await.unwrap();
    for (kind, id) in [("device", "pc-1"), ("person", "tanaka")] {
        assert!(index.contains(&(kind.to_owned(), id.to_owned(), imsi(4))), "{index:?}");
    }
    store.learn_devices(vec![seen("35693803564380", true)], Utc(6)).await.unwrap();
    assert_eq!(store.sims_of_device(&name("pc-1")).await.unwrap(), imsis(&[1]));
});

on_both!(what_lies_within_limits, |store| {
    company(&store).await;
    let within = |groups: &[&str], sites: &[&str]| Within {
        groups: groups.iter().map(|g| name(g)).collect(),
        sites: sites.iter().map(|s| name(s)).collect(),
    };
    let cases = [
        (vec![], vec![]),
        (vec![within(&[], &[])], vec![1, 2, 3, 4]),
        (vec![within(&["staff"], &[])], vec![1, 2]),
        (vec![within(&[], &["osaka"])], vec![1, 3]),
        (vec![within(&["staff"], &["osaka"])], vec![1]),
        (vec![within(&["staff"], &["osaka"]), within(&[], &["osaka", "kobe"])], vec![1, 3]),
        (vec![within(&["plc"], &[])], vec![]),
    ];
    for (limits, expected) in cases {
        let found: Vec<Imsi> = store.sims_within(&limits).await.unwrap().into_iter().collect();
        assert_eq!(found, imsis(&expected), "{limits:?}");
        // The same by each SIM's place: the two ways to ask never disagree.
        for n in 1..=4 {
            let place = store.place_of_sim(imsi(n)).await.unwrap();
            assert_eq!(limits.iter().any(|w| w.contains(&place)), expected.contains(&n), "{limits:?} {n}");
        }
    }
});

on_both!(links_are_changed_filtered_by_and_told_to_the_audit, |store| {
    company(&store).await;
    let edit = SimEdit { person: Some(Some(name("sato"))), site: Some(None), ..SimEdit::default() };
    let changed = store.change_sim(imsi(1), Some(1), None, edit, &by("it")).await.unwrap();
    assert_eq!(changed.links, link(Some("pc-1"), Some("sato"), None));
    assert_eq!(store.sim(imsi(1)).await.unwrap(), changed);
    let all = store.all_sims().await.unwrap();
    assert_eq!(all[0].links, changed.links);

    let listed = async |f: SimFilter| -> Vec<Imsi> {
        store.sims(&f, None, 10).await.unwrap().items.iter().map(|s| s.imsi).collect()
    };
    let sato = SimFilter { person: Some(name("sato")), ..SimFilter::default() };
    assert_eq!(listed(sato.clone()).await, imsis(&[1, 3]));
    assert_eq!(listed(SimFilter { site: Some(name("osaka")), ..sato.clone() }).await, imsis(&[3]));
    assert_eq!(listed(SimFilter { device: Some(name("pc-1")), ..sato }).await, imsis(&[1]));

    let audit = store.audit(Some(format!("sim:{}", imsi(1))), None, 1).await.unwrap();
    assert!(audit.items[0].before.as_ref().unwrap().contains("osaka"));
    assert!(audit.items[0].after.as_ref().unwrap().contains("sato"));

    let ghost = SimEdit { linked_device: Some(Some(name("ghost"))), ..SimEdit::default() };
    assert_eq!(conflict(store.change_sim(imsi(1), None, None, ghost, &by("it")).await), Clash::Reference);
    let edit = SimEdit { person: Some(None), linked_device: Some(None), ..SimEdit::default() };
    assert_eq!(
        store.change_sim(imsi(1), None, None, edit, &by("it")).await.unwrap().links,
        SimLinks::default()
    );
});

on_both!(what_is_linked_is_not_deleted_and_its_links_are_named, |store| {
    company(&store).await;
    let delete = async |id: &str| store.delete_entity::<Person>(name(id), None, &by("it")).await;
    assert_eq!(conflict(delete("tanaka").await), Clash::Reference);
    let linked = store.linked_to::<Person>(&name("tanaka"), 10).await.unwrap();
    assert_eq!(linked, [format!("sim:{}", imsi(2)), "device:pc-1".to_owned()]);
    assert_eq!(store.linked_to::<Site>(&name("osaka"), 1).await.unwrap(), [format!("sim:{}", imsi(1))]);
    assert_eq!(
        conflict(store.delete_entity::<Device>(name("pc-1"), None, &by("it")).await),
        Clash::Reference
    );
    assert_eq!(conflict(store.delete_entity::<Site>(name("osaka"), None, &by("it")).await), Clash::Reference);

    let loose = SimEdit { person: Some(None), ..SimEdit::default() };
    store.change_sim(imsi(2), None, None, loose, &by("it")).await.unwrap();
    store.replace_entity(device("pc-1", None), None, &by("it")).await.unwrap();
    delete("tanaka").await.unwrap();
    assert_eq!(delete("tanaka").await, Err(StoreError::NotFound));
});

on_both!(people_devices_and_sites_have_versions_and_are_searched, |store| {
    let mut hanako = person("tanaka");
    hanako.mail = Some("Hanako_T@example.com".to_owned());
    hanako.employee = Some("E-100".to_owned());
    hanako.ends_at = Some(Utc(T0.0 + 1));
    let made = store.create_entity(hanako.clone(), &by("it")).await.unwrap();
    assert_eq!((made.version, &made.value), (1, &hanako));
    assert_eq!(conflict(store.create_entity(hanako.clone(), &by("it")).await), Clash::Name);
    let twin = Person { id: name("twin"), ..hanako.clone() };
    assert_eq!(conflict(store.create_entity(twin, &by("it")).await), Clash::Employee);
    hanako.name = "Suzuki Hanako".to_owned();
    let changed = store.replace_entity(hanako.clone(), Some(1), &by("it")).await.unwrap();
    assert_eq!(store.entity::<Person>(&name("tanaka")).await.unwrap(), changed);
    let late = store.replace_entity(hanako, Some(1), &by("it")).await;
    assert_eq!(late, Err(StoreError::VersionMismatch { current: 2 }));
    store.create_entity(person("sato"), &by("it")).await.unwrap();

    let find = async |text: &str| -> Vec<String> {
        let page = store.entities::<Person>(Some(text), None, 10).await.unwrap();
        page.items.iter().map(|p| p.value.id.to_string()).collect()
    };
    assert_eq!(find("HANAKO_t").await, ["tanaka"]);
    assert_eq!(find("e-1").await, ["tanaka"]);
    assert_eq!(find("hanako").await, ["sato", "tanaka"]);
    assert_eq!(find("100%").await, Vec::<String>::new(), "signs of LIKE are letters like others");
    let page = store.entities::<Person>(None, None, 1).await.unwrap();
    assert_eq!((page.items[0].value.id.as_str(), page.next.as_deref()), ("sato", Some("sato")));

    let mut pc = device("pc-1", None);
    pc.imei = Some("490154203237518".parse().unwrap());
    store.create_entity(pc.clone(), &by("it")).await.unwrap();
    let same = Device { id: name("pc-2"), imei: Some("4901542032375199".parse().unwrap()), ..pc };
    assert_eq!(
        conflict(store.create_entity(same, &by("it")).await),
        Clash::Imei,
        "the software version tells no two apart"
    );
    let ghost = device("pc-3", Some("ghost"));
    assert_eq!(conflict(store.create_entity(ghost, &by("it")).await), Clash::Reference);
    store.create_entity(plant("osaka"), &by("it")).await.unwrap();
    assert_eq!(store.entity::<Site>(&name("osaka")).await.unwrap().value, plant("osaka"));
});
