//! Operators: made, changed, never without an owner, and signed in with a code that is taken once.

use super::{T0, by, conflict, on_both};
use crate::{ByProvider, Clash, Grant, OperatorEdit, OperatorRow, PasskeyRow, Store, StoreError, TokenRow};
use types::{Name, Utc};

fn name(s: &str) -> Name {
    s.parse().unwrap()
}

fn grant(role: &str, sites: &[&str]) -> Grant {
    Grant {
        roles: [role.to_owned()].into(),
        sites: sites.iter().map(|s| name(s)).collect(),
        ..Grant::default()
    }
}

fn operator(n: &str, grants: Vec<Grant>) -> OperatorRow {
    OperatorRow {
        name: name(n),
        display: "Tanaka Hanako".to_owned(),
        grants,
        password: "$argon2id$of-the-first".to_owned(),
        must_change: false,
        totp: None,
        totp_pending: None,
        totp_step: 0,
        disabled: None,
        signed_in: None,
        version: 0,
        created: Utc(0),
        changed: Utc(0),
    }
}

fn token(id: u8, of: &str) -> TokenRow {
    TokenRow {
        id: format!("t{id}"),
        hash: vec![id; 32],
        label: of.to_owned(),
        scopes: vec![],
        grants: vec![grant("owner", &[])],
        addresses: vec![],
        operator: Some(of.to_owned()),
        by_provider: None,
        idle_ms: Some(1000),
        created: T0,
        created_by: of.to_owned(),
        expires: Some(Utc(T0.0 + 1000)),
        last_used: None,
        revoked: None,
        suspended: None,
    }
}

async fn change(s: &Store, n: &str, e: OperatorEdit) -> Result<OperatorRow, StoreError> {
    s.change_operator(name(n), None, e, "owner", &by("it")).await
}

on_both!(the_last_owner_stays, |store| {
    for (n, grants) in [
        ("hanako", vec![grant("owner", &[])]),
        ("taro", vec![grant("viewer", &[]), grant("owner", &[])]),
        ("jiro", vec![grant("owner", &["osaka"])]),
    ] {
        store.create_operator(operator(n, grants), &by("init")).await.unwrap();
    }
    assert_eq!(conflict(store.create_operator(operator("taro", vec![]), &by("it")).await), Clash::Name);
    let off = OperatorEdit { disabled: Some(true), ..OperatorEdit::default() };
    let less = OperatorEdit { grants: Some(vec![grant("owner", &["osaka"])]), ..OperatorEdit::default() };
    assert_eq!(change(&store, "hanako", off.clone()).await.unwrap().disabled, Some(T0));
    // Jiro is an owner of one site only.
    assert_eq!(conflict(change(&store, "taro", off.clone()).await), Clash::LastOwner);
    assert_eq!(conflict(change(&store, "taro", less.clone()).await), Clash::LastOwner);
    change(&store, "jiro", off.clone()).await.unwrap();
    let on = OperatorEdit { disabled: Some(false), ..OperatorEdit::default() };
    change(&store, "hanako", on).await.unwrap();
    change(&store, "taro", less).await.unwrap();
    assert_eq!(conflict(change(&store, "hanako", off).await), Clash::LastOwner);
});

on_both!(two_owners_who_disable_one_another_leave_one, |store| {
    for n in ["hanako", "taro"] {
        store.create_operator(operator(n, vec![grant("owner", &[])]), &by("init")).await.unwrap();
    }
    let off = OperatorEdit { disabled: Some(true), ..OperatorEdit::default() };
    let (a, b) = tokio::join!(change(&store, "hanako", off.clone()), change(&store, "taro", off));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
});

on_both!(an_operator_signs_in_with_each_code_once, |store| {
    store.create_operator(operator("hanako", vec![grant("owner", &[])]), &by("init")).await.unwrap();
    let sign_in = async |id: u8, seen: u64, step: Option<i64>| {
        store.sign_in(name("hanako"), seen, step, token(id, "hanako"), &by("operator:hanako")).await
    };
    sign_in(1, 1, None).await.unwrap();
    let pending = OperatorEdit { totp_pending: Some(vec![9; 40]), ..OperatorEdit::default() };
    assert_eq!(change(&store, "hanako", pending).await.unwrap().totp, None, "not before it is proven");
    let proven = OperatorEdit { totp_proven: Some(100), ..OperatorEdit::default() };
    let with = change(&store, "hanako", proven).await.unwrap();
    assert_eq!((&with.totp, &with.totp_pending, with.totp_step), (&Some(vec![9; 40]), &None, 100));
    assert_eq!(store.operator(&name("hanako")).await.unwrap(), OperatorRow { signed_in: Some(T0), ..with });

    assert_eq!(sign_in(2, 3, Some(100)).await, Err(StoreError::NotFound), "the code that proved it");
    assert_eq!(
        sign_in(2, 2, Some(101)).await,
        Err(StoreError::NotFound),
        "the password was checked against an older version"
    );
    let (a, b) = tokio::join!(sign_in(2, 3, Some(101)), sign_in(3, 3, Some(101)));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "one code, two hands: {a:?} {b:?}");
    sign_in(4, 3, Some(102)).await.unwrap();

    let audit = store.audit(Some("operator:hanako".to_owned()), None, 100).await.unwrap();
    let text = format!("{:?}", audit.items);
    assert!(text.contains("operator.sign-in") && text.contains("operator.second-factor"));
    for secret in ["of-the-first", "[9, 9"] {
        assert!(
            !text.contains(secret)
                && !format!("{:?}", store.operator(&name("hanako")).await).contains(secret)
        );
    }
});

on_both!(what_changes_an_operators_rights_or_proof_ends_his_sign_ins, |store| {
    for n in ["hanako", "taro"] {
        store.create_operator(operator(n, vec![grant("owner", &[])]), &by("init")).await.unwrap();
    }
    let live = async || -> Vec<String> {
        let all = store.tokens().await.unwrap();
        all.into_iter().filter(|t| t.revoked.is_none()).map(|t| t.id).collect()
    };
    let edits = [
        (OperatorEdit { display: Some("Hanako".to_owned()), ..OperatorEdit::default() }, true),
        (OperatorEdit { grants: Some(vec![grant("viewer", &[])]), ..OperatorEdit::default() }, false),
        (OperatorEdit { password: Some("$new".to_owned()), ..OperatorEdit::default() }, false),
        (OperatorEdit { totp_pending: Some(vec![1]), ..OperatorEdit::default() }, true),
        (OperatorEdit { totp_proven: Some(1), ..OperatorEdit::default() }, false),
        (OperatorEdit { totp_none: true, ..OperatorEdit::default() }, false),
        (OperatorEdit { disabled: Some(true), ..OperatorEdit::default() }, false),
    ];
    store.sign_in(name("taro"), 1, None, token(99, "taro"), &by("x")).await.unwrap();
    for (i, (edit, goes_on)) in edits.into_iter().enumerate() {
        let seen = store.operator(&name("hanako")).await.unwrap().version;
        let id = i as u8;
        store.sign_in(name("hanako"), seen, None, token(id, "hanako"), &by("x")).await.unwrap();
        change(&store, "hanako", edit).await.unwrap();
        assert_eq!(live().await.contains(&format!("t{id}")), goes_on, "{i}");
        assert!(live().await.contains(&"t99".to_owned()), "another's go on");
    }
    let seen = store.operator(&name("hanako")).await.unwrap().version;
    let late = store.sign_in(name("hanako"), seen, None, token(50, "hanako"), &by("x")).await;
    assert_eq!(late, Err(StoreError::NotFound), "disabled");
});

fn by_provider(id: u8, subject: &str, terms: &str) -> TokenRow {
    let by = ByProvider {
        provider: "Corp".to_owned(),
        issuer: "https://idp.example".to_owned(),
        subject: subject.to_owned(),
        terms: terms.to_owned(),
    };
    TokenRow { operator: None, by_provider: Some(by), ..token(id, subject) }
}

on_both!(who_came_by_a_provider_is_kept_with_his_terms_and_ends_with_them, |store| {
    store.create_operator(operator("hanako", vec![grant("owner", &[])]), &by("init")).await.unwrap();
    store.sign_in(name("hanako"), 1, None, token(1, "hanako"), &by("x")).await.unwrap();
    for (id, subject, terms) in [(2, "s1", "old"), (3, "s2", "old"), (4, "s2", "new")] {
        store.sign_in_by_provider(by_provider(id, subject, terms), &by("x")).await.unwrap();
    }
    let live = async || -> Vec<String> {
        let all = store.tokens().await.unwrap();
        all.into_iter().filter(|t| t.revoked.is_none()).map(|t| t.id).collect()
    };
    assert_eq!(store.tokens().await.unwrap()[1], by_provider(2, "s1", "old"));
    assert_eq!(store.end_provider_tokens(Some("new".to_owned()), &by("start")).await.unwrap(), 2);
    assert_eq!(live().await, ["t1", "t4"]);
    assert_eq!(store.end_provider_tokens(Some("new".to_owned()), &by("start")).await.unwrap(), 0);
    assert_eq!(store.end_provider_tokens(None, &by("start")).await.unwrap(), 1);
    assert_eq!(live().await, ["t1"], "an operator's own goes on");
    let audit = store.audit(Some("provider:s2".to_owned()), None, 9).await.unwrap().items;
    assert_eq!(audit.len(), 2);
    assert!(audit[0].after.as_deref().unwrap().contains("idp.example"));
});

on_both!(a_state_counts_once_and_is_forgotten_when_nothing_carries_it_any_more, |store| {
    let used = async |s: &str, now: i64| {
        store.use_provider_state(s.to_owned(), Utc(now), Utc(now - 600)).await.unwrap()
    };
    assert!(used("a", 1_000).await && used("b", 1_000).await);
    assert!(!used("a", 1_001).await && !used("a", 1_600).await);
    let (x, y) = tokio::join!(used("c", 1_600), used("c", 1_600));
    assert_eq!(u8::from(x) + u8::from(y), 1, "two at once");
    assert!(used("a", 1_601).await, "its browser's cookie has gone");
});

on_both!(a_passkey_lets_its_operator_in_and_goes_where_somebody_else_sets_his_password, |store| {
    for n in ["hanako", "taro"] {
        store.create_operator(operator(n, vec![grant("owner", &[])]), &by("init")).await.unwrap();
    }
    let passkey = |id: &str, of: &str| PasskeyRow {
        id: id.to_owned(),
        operator: name(of),
        name: "Laptop".to_owned(),
        credential: "{\"counter\":1}".to_owned(),
        created: T0,
        last_used: None,
    };
    for (id, of) in [("a", "hanako"), ("b", "hanako"), ("c", "taro")] {
        store.add_passkey(passkey(id, of), &by("x")).await.unwrap();
    }
    assert!(matches!(
        store.add_passkey(passkey("a", "taro"), &by("x")).await,
        Err(StoreError::Conflict { .. })
    ));
    let used = PasskeyRow { credential: "{\"counter\":2}".to_owned(), ..store.passkey("a").await.unwrap() };
    store.sign_in_by_passkey(used.clone(), 1, token(1, "hanako"), &by("x")).await.unwrap();
    let kept = store.passkey("a").await.unwrap();
    assert_eq!((kept.credential, kept.last_used), (used.credential.clone(), Some(T0)));
    let late = store.sign_in_by_passkey(used.clone(), 0, token(2, "hanako"), &by("x")).await;
    assert_eq!(late, Err(StoreError::NotFound), "the operator was changed meanwhile");
    assert_eq!(
        store.remove_passkey(name("taro"), "a".to_owned(), &by("x")).await,
        Err(StoreError::NotFound),
        "it is another's"
    );
    store.remove_passkey(name("hanako"), "a".to_owned(), &by("x")).await.unwrap();
    let gone = store.sign_in_by_passkey(used, 1, token(3, "hanako"), &by("x")).await;
    assert_eq!(gone, Err(StoreError::NotFound));
    let own = OperatorEdit { password: Some("$own".to_owned()), ..OperatorEdit::default() };
    change(&store, "hanako", own).await.unwrap();
    assert_eq!(store.passkeys(&name("hanako")).await.unwrap().len(), 1, "by himself: it stays");
    let reset =
        OperatorEdit { password: Some("$new".to_owned()), must_change: true, ..OperatorEdit::default() };
    change(&store, "hanako", reset).await.unwrap();
    assert_eq!(store.passkeys(&name("hanako")).await.unwrap(), []);
    assert_eq!(store.passkeys(&name("taro")).await.unwrap(), [passkey("c", "taro")]);
});
