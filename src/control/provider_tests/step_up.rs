//! The page inside the closed network by the same provider: whose token opens an app, and that no other one does.

use super::*;
use crate::control::api::Command;
use admin_web::{
    TokenBook,
    step_up::{PageReply, PageRequest, StepUp, answer},
};
use pgw_policy::{Policy, Standing, explain_for};
use types::{ActiveGrant, App, Imsi, Person, Rule, SimFacts, SimState};

const UE: &str = "10.20.0.5";

pub(super) fn imsi() -> Imsi {
    "001010000000001".parse().expect("an IMSI")
}

/// A SIM of hanako's with an address, an app that waits for a proof, and a provider.
pub(super) async fn world() -> World {
    let w = World::new().await;
    let by = Change::by_system("test", utc());
    let hr = json!({ "name": "hr", "prefixes": ["10.1.0.1/32"], "services": ["tcp/443"] });
    w.store.create::<App>(serde_json::from_value(hr).expect("an app"), None, &by).await.expect("made");
    let rule = json!({ "name": "hr", "order": 1, "subject": "any", "app": "hr", "direction": "out", "verdict": "step-up" });
    w.store.create::<Rule>(serde_json::from_value(rule).expect("a rule"), None, &by).await.expect("made");
    let person = json!({ "id": "hanako", "name": "Hanako <b>", "external": "248289761001" });
    w.store
        .create_entity::<Person>(serde_json::from_value(person).expect("a person"), &by)
        .await
        .expect("made");
    let mut sim = store::lab::sim(imsi());
    sim.state = SimState::Active;
    sim.links.person = Some("hanako".parse().expect("a name"));
    w.store.create_sim(sim, &by).await.expect("made");
    let corp = "corp".parse().expect("a name");
    w.store.open_lease(imsi(), corp, UE.parse().expect("an address"), utc()).await.expect("a lease");
    w
}

/// A loop that knows the policy and nothing else.
fn control(w: &World) -> ControlHandle {
    let (tx, mut rx) = mpsc::channel(8);
    let store = w.store.clone();
    tokio::spawn(async move {
        while let Some(c) = rx.recv().await {
            match c {
                Command::Explain { question, reply, .. } => {
                    let s = store.policy_source().await.expect("read");
                    let policy = Policy { apps: s.apps, rules: s.rules, ues: s.ues, ..Policy::default() };
                    let grants = grants(&store).await;
                    let facts = SimFacts { grants, ..SimFacts::default() };
                    let standing = Standing { facts, at: utc(), ..Standing::default() };
                    drop(reply.send(Ok(explain_for(&policy, &question, &standing))));
                }
                Command::AwaitingProof { reply, .. } => drop(reply.send(vec!["hr".parse().expect("a name")])),
                Command::PolicyChanged { reply } => drop(reply.send(Ok(1))),
                _ => panic!("the page asks for something else"),
            }
        }
    });
    ControlHandle { tx, ..w.handle.clone() }
}

async fn grants(store: &Store) -> Vec<ActiveGrant> {
    store.active_grants(utc()).await.expect("read").into_iter().map(|(_, g)| g).collect()
}

/// A browser on the device, before a page of its own node.
struct Device<'w> {
    w: &'w World,
    state: AppState,
    cookie: String,
}

impl<'w> Device<'w> {
    fn new(w: &'w World, more: impl FnOnce(&mut crate::config::Oidc)) -> Self {
        let mut oidc = w.config.oidc.clone().expect("a provider");
        more(&mut oidc);
        let provider = provider::of(&oidc).expect("a provider");
        let tokens = Arc::new(TokenBook::from_rows(Vec::new()));
        let handle = control(w);
        let state = AppState::with_tokens(
            Arc::new(handle.clone()),
            handle.store.clone(),
            handle.flows.clone(),
            tokens,
        )
        .sealing_with(types::Key256::new([7; 32]))
        .proving_by(StepUp::new(provider, 60_000, "sub"));
        Self { w, state, cookie: String::new() }
    }

    async fn ask_from(&mut self, from: &str, target: &str) -> PageReply {
        let ask = PageRequest {
            from: from.parse().expect("an address"),
            target: target.to_owned(),
            language: "en".to_owned(),
            cookie: self.cookie.clone(),
        };
        let reply = answer(&self.state, ask).await;
        for (_, set) in reply.headers.iter().filter(|(n, _)| n == "set-cookie") {
            set.split(';').next().expect("a cookie").clone_into(&mut self.cookie);
        }
        reply
    }

    async fn ask(&mut self, target: &str) -> PageReply {
        self.ask_from(UE, target).await
    }

    /// Out, through the provider, and where it leads back to.
    async fn out(&mut self) -> String {
        let out = self.ask("/prove?app=hr").await;
        assert_eq!(out.status, 303, "{}", text(&out));
        let there = Browser::new().get(header(&out, "location")).await;
        assert_eq!(there.status, 302, "{}", there.text);
        there.header("location").replace(&self.w.at, "")
    }

    async fn prove(&mut self) -> PageReply {
        let back = self.out().await;
        self.ask(&back).await
    }
}

fn header<'r>(r: &'r PageReply, name: &str) -> &'r str {
    r.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
}

fn text(r: &PageReply) -> String {
    String::from_utf8_lossy(&r.body).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_whose_the_sim_is_and_a_proof_opens_one_app_until_its_end() {
    let w = world().await;
    let mut d = Device::new(&w, |_| {});
    let page = text(&d.ask("/?app=hr").await);
    for word in
        ["001010000000001", "Hanako &lt;b&gt;", "/prove?app=hr", "Rule: hr", "Prove it is you at Corp"]
    {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("<b>"));
    assert!(text(&d.ask("/?lang=ja").await).contains("本人確認を行うと利用できるアプリ"));
    let done = d.prove().await;
    assert_eq!((done.status, header(&done, "location")), (303, "/?app=hr"), "{}", text(&done));
    let [proof] = &grants(&w.store).await[..] else { panic!() };
    assert!(proof.proof && proof.app.as_str() == "hr" && proof.until.0 - utc().0 <= 60_000);
    let told = w.store.grant(&proof.id).await.expect("read");
    assert_eq!((told.requester.as_str(), told.approver.as_deref()), ("person:hanako", Some("provider Corp")));
    assert!(text(&d.ask("/?app=hr").await).contains("For 1 more minutes"));
    // Nobody is sent away for what is open, for nothing, or for an app that there is not.
    for (target, there) in [("/prove?app=hr", "/?app=hr"), ("/prove", "/")] {
        let r = d.ask(target).await;
        assert_eq!((r.status, header(&r, "location")), (303, there));
    }
    for (target, status) in
        [("/?app=nothing", 404), ("/api/v1/sims", 404), ("/sign-in", 404), ("/?app=A%20B", 200)]
    {
        assert_eq!(d.ask(target).await.status, status, "{target}");
    }
    assert_eq!(d.ask_from("10.20.0.6", "/").await.status, 403, "an address of no SIM");
    let rows = w.rows("grant.create").await;
    assert_eq!((rows.len(), rows[0].actor.as_str()), (1, "provider Corp"));
}

/// Each way to lie, by a node of its own, so that none waits for the failures of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_token_than_the_right_persons_opens_anything() {
    type Lie = (fn(&mut idp::Says), &'static str, u16);
    let lies: &[Lie] = &[
        (|s| s.sign = Sign::None, "method", 401),
        (|s| s.sign = Sign::SharedSecret, "method", 401),
        (|s| s.sign = Sign::PublicKeyAsSecret, "method", 401),
        (|s| s.sign = Sign::Damaged, "signature", 401),
        (|s| s.kid = "unknown", "key", 401),
        (|s| s.claims = json!({ "aud": "somebody-else" }), "audience", 401),
        (|s| s.claims = json!({ "iss": "https://other.example" }), "issuer", 401),
        (|s| s.claims = json!({ "nonce": "of another way" }), "nonce", 401),
        (|s| s.claims = json!({ "exp": seconds() - 3_600 }), "run out", 401),
        (|s| s.claims = json!({ "iat": seconds() + 3_600 }), "does not count yet", 401),
        (|s| s.claims = json!({ "sub": "somebody-else" }), "somebody else", 403),
        (|s| s.claims = json!({ "amr": ["pwd"] }), "acr, amr", 403),
        (|s| s.claims = json!({ "amr": null }), "acr, amr", 403),
        (|s| s.token = Some(json!({ "access_token": "x", "token_type": "Bearer" })), "no ID token", 401),
    ];
    let w = world().await;
    for (n, (lie, said, status)) in lies.iter().enumerate() {
        {
            let mut says = w.idp.says();
            (says.sign, says.kid, says.token) = (Sign::Rsa, "first", None);
            says.claims = json!({ "amr": ["pwd", "mfa"] });
            let right = says.claims.clone();
            lie(&mut says);
            for (name, value) in right.as_object().expect("claims") {
                if says.claims.get(name).is_none() {
                    says.claims[name] = value.clone();
                }
            }
        }
        let mut d = Device::new(&w, |o| o.amr = vec!["mfa".to_owned()]);
        let refused = d.prove().await;
        assert_eq!(refused.status, *status, "{n} {said}: {}", text(&refused));
        assert!(text(&refused).contains(said), "{n} {said}: {}", text(&refused));
        assert_eq!(header(&refused, "location"), "");
        assert_eq!(w.rows("proof.refused").await.len(), n + 1, "{n} {said}");
    }
    assert_eq!(grants(&w.store).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_provider_is_down_nobody_proves_anything_and_what_was_proved_goes_on() {
    let w = world().await;
    let (mut on_the_way, mut proved) = (Device::new(&w, |_| {}), Device::new(&w, |_| {}));
    let back = on_the_way.out().await;
    assert_eq!(proved.prove().await.status, 303);
    let before = grants(&w.store).await;
    assert_eq!(before.len(), 1);
    w.idp.stop().await;
    let refused = on_the_way.ask(&back).await;
    assert_eq!(refused.status, 503, "{}", text(&refused));
    assert!(text(&refused).contains("does not answer"), "{}", text(&refused));
    assert_eq!(grants(&w.store).await, before);
    assert!(text(&proved.ask("/?app=hr").await).contains("For 1 more minutes"));
    assert_eq!(w.rows("proof.refused").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_counts_once_for_who_began_it() {
    let w = world().await;
    // Without the cookie, with another's, and twice.
    let mut d = Device::new(&w, |_| {});
    let back = d.out().await;
    let mut stranger = Device::new(&w, |_| {});
    assert_eq!(stranger.ask(&back).await.status, 400);
    let other = stranger.out().await;
    let cookie = d.cookie.clone();
    assert_eq!(d.ask(&other).await.status, 400, "the state of another way");
    d.cookie = cookie.clone();
    assert_eq!(d.ask(&back).await.status, 303);
    d.cookie = cookie;
    assert_eq!(d.ask(&back).await.status, 400, "it came back before");
    // Of another SIM's device: the cookie names the one that began.
    let by = Change::by_system("test", utc());
    let mut sim = store::lab::sim("001010000000002".parse().expect("an IMSI"));
    sim.state = SimState::Active;
    sim.links.person = Some("hanako".parse().expect("a name"));
    let (second, corp) = (sim.imsi, "corp".parse().expect("a name"));
    w.store.create_sim(sim, &by).await.expect("made");
    w.store.open_lease(second, corp, "10.20.0.7".parse().expect("an address"), utc()).await.expect("a lease");
    w.store
        .revoke_grant(grants(&w.store).await[0].id.clone(), "sato".to_owned(), &by)
        .await
        .expect("revoked");
    let mut d = Device::new(&w, |_| {});
    let back = d.out().await;
    assert_eq!(d.ask_from("10.20.0.7", &back).await.status, 400);
    // Of a SIM that is nobody's, or that may not live, nobody is sent anywhere.
    let mut d = Device::new(&w, |_| {});
    let back = d.out().await;
    let nobodys = store::SimEdit { person: Some(None), ..store::SimEdit::default() };
    w.store.change_sim(imsi(), None, None, nobodys, &by).await.expect("changed");
    assert_eq!(d.ask(&back).await.status, 403);
    assert_eq!(Device::new(&w, |_| {}).ask("/prove?app=hr").await.status, 403);
    assert!(text(&Device::new(&w, |_| {}).ask("/?app=hr").await).contains("not registered to a person"));
    assert_eq!(grants(&w.store).await, []);
}
