//! What the company of the site has put in before control starts, and the phones that hold its SIMs.

use super::*;

pub fn imsi(n: usize) -> Imsi {
    format!("00101{n:010}").parse().expect("an IMSI")
}

pub fn name(s: &str) -> Name {
    s.parse().expect("a name")
}

/// The 14 digits of UE `n`'s device.
pub fn device(n: usize) -> String {
    format!("35546411{n:06}")
}

/// Somebody asks, in a request of their own.
pub fn asker(who: &str, request: &str) -> Asker {
    Asker {
        actor: who.to_owned(),
        reason: format!("{who} says so"),
        ticket: "T-7".to_owned(),
        request_id: request.to_owned(),
        origin: "10.0.0.9".to_owned(),
        claim: None,
    }
}

/// K and OPc of SIM `n`.
pub fn keys(n: usize) -> (K, Opc) {
    let mut key = [0x46; 16];
    key[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
    let k = K::new(key);
    let opc = sim_auth::milenage::opc(&k, &[0xcd; 16]);
    (k, opc)
}

fn row(n: usize, vault: &mut hss::Vault, links: SimLinks) -> SimRow {
    let (k, opc) = keys(n);
    let fresh = sim_auth::sqn::SqnState::fresh(now().utc);
    let sqn = SqnRow {
        mode: "time".to_owned(),
        ind_bits: 5,
        node_bits: 2,
        delta: 1 << 28,
        max_ahead: 6_000,
        offset: fresh.offset,
        ceiling: fresh.ceiling,
        resyncs: fresh.resyncs,
    };
    SimRow {
        imsi: imsi(n),
        iccid: None,
        label: String::new(),
        state: SimState::Active,
        sealed: Some(vault.seal(imsi(n), &k, &opc).as_bytes().to_vec()),
        fingerprint: Some(n.to_be_bytes().to_vec()),
        algorithm: "milenage".to_owned(),
        sqn,
        dnns: vec!["corp".parse().expect("a name")],
        slices: vec![],
        static_ips: Default::default(),
        groups: [name(if n == 1 { "staff" } else { "plcs" })].into(),
        ambr_ul_bps: 1_000_000,
        ambr_dl_bps: 1_000_000,
        device: None,
        links,
        version: 0,
        created: Utc(0),
        changed: Utc(0),
        last_seen: None,
    }
}

pub(super) fn phone(n: usize) -> Ue {
    let (k, opc) = keys(n);
    let config = UeConfig {
        supi: Supi(imsi(n)),
        plmn: plmn(),
        // UE 0 does not name its device.
        imeisv: (n > 0).then(|| format!("{}01", device(n)).parse().expect("an IMEISV")),
        capability: UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia1, Nia::Nia2]),
        conceal: None,
        slices: vec![],
        lies: Lies::default(),
    };
    Ue::new(config, Usim::new(&k, &opc), now(), [n as u8; 32])
}

/// What the company has put in before control starts.
pub(super) async fn provision(config: &Config) {
    let (store, mut vault) = boot::open(config).await.expect("a store");
    let by = Change::by_system("init", now().utc);
    for (dnn, pool) in [("corp", "10.20.0.0/24"), ("plant", "10.21.0.0/24")] {
        let dn = DataNetwork {
            dnn: dnn.parse().expect("a name"),
            pool: pool.parse().expect("a prefix"),
            pool6: None,
            dns: vec![],
            mtu: 1_400,
        };
        store.create(dn, None, &by).await.expect("made");
    }
    for group in ["staff", "plcs"] {
        store.create(Group::new(name(group), ""), None, &by).await.expect("made");
    }
    let person: Person =
        serde_json::from_value(serde_json::json!({ "id": "tanaka", "name": "Tanaka" })).expect("a person");
    store.create_entity(person, &by).await.expect("made");
    let place: types::Site =
        serde_json::from_value(serde_json::json!({ "id": "osaka", "name": "Osaka" })).expect("a site");
    store.create_entity(place, &by).await.expect("made");
    let imeisv: Imeisv = format!("{}01", device(1)).parse().expect("an IMEISV");
    let pc = Device {
        id: name("pc-1"),
        label: String::new(),
        kind: DeviceKind::Laptop,
        imei: Some(Pei::Imeisv(imeisv)),
        serial: None,
        owner: None,
    };
    store.create_entity(pc, &by).await.expect("made");
    for n in 0..3 {
        let links = if n == 1 {
            SimLinks { device: Some(name("pc-1")), person: Some(name("tanaka")), site: Some(name("osaka")) }
        } else {
            SimLinks::default()
        };
        store.create_sim(row(n, &mut vault, links), &by).await.expect("made");
    }
    store.close().await;
}
