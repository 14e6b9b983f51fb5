//! Roles: named sets of scopes, in one table, with a sentence for each.
//!
//! A grant gives roles and scopes within groups and sites. Nobody gives what he has not: neither a scope nor a place.

use crate::{
    check::{Check, Kind},
    problem::{Said, say},
    rights::{Caller, Held, Reach, Scope},
};
use std::{collections::BTreeSet, fmt, str::FromStr};
use store::{Grant, Within};

/// What somebody is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees.
    Viewer,
    /// Helps users.
    Helpdesk,
    /// Keeps SIMs.
    Provisioner,
    /// Writes rules.
    PolicyAuthor,
    /// Gives the second yes.
    Approver,
    /// Cuts, and finds out.
    Soc,
    /// Keeps the machines of a site.
    OtEngineer,
    /// Sees who did what.
    Auditor,
    /// Everything.
    Owner,
}

/// A role's line in the table.
struct Line {
    role: Role,
    word: &'static str,
    scopes: &'static [Scope],
    en: &'static str,
    ja: &'static str,
}

/// The one table.
const TABLE: &[Line] = &[
    Line {
        role: Role::Viewer,
        word: "viewer",
        scopes: &[Scope::Read],
        en: "Sees SIMs, sessions, flows and rules, and changes nothing.",
        ja: "SIM・セッション・フロー・ルールを閲覧できます。変更はできません。",
    },
    Line {
        role: Role::Helpdesk,
        word: "helpdesk",
        scopes: &[Scope::Read, Scope::Directory, Scope::Sessions],
        en: "Helps users: keeps people and devices and ends sessions.",
        ja: "利用者を支援します。人と端末の台帳を管理し、セッションを終了できます。",
    },
    Line {
        role: Role::Provisioner,
        word: "provisioner",
        scopes: &[Scope::Read, Scope::Provision, Scope::Directory, Scope::Equipment],
        en: "Puts SIMs in, suspends and retires them, and keeps people, devices and sites.",
        ja: "SIM の登録・一時停止・廃止と、人・端末・拠点の台帳を管理します。",
    },
    Line {
        role: Role::PolicyAuthor,
        word: "policy-author",
        scopes: &[Scope::Read, Scope::Policy],
        en: "Writes data networks, apps, groups and rules.",
        ja: "データネットワーク・アプリ・グループ・ルールを編集します。",
    },
    Line {
        role: Role::Approver,
        word: "approver",
        scopes: &[Scope::Read, Scope::Approve],
        en: "Gives the second yes to what somebody else asked for.",
        ja: "他の人の申請に対して二人目の承認を行います。",
    },
    Line {
        role: Role::Soc,
        word: "soc",
        scopes: &[
            Scope::Read,
            Scope::Ban,
            Scope::Unban,
            Scope::Quarantine,
            Scope::Sessions,
            Scope::Alerts,
            Scope::Audit,
        ],
        en: "Cuts lost and stolen SIMs, takes bans back, quarantines, answers alerts and reads the audit.",
        ja: "紛失・盗難 SIM の停止と解除、隔離、アラート対応、監査記録の閲覧を行います。",
    },
    Line {
        role: Role::OtEngineer,
        word: "ot-engineer",
        scopes: &[Scope::Read, Scope::Directory, Scope::Equipment, Scope::Sessions, Scope::Quarantine],
        en: "Keeps the machines of a site: their devices, equipment lists, sessions and quarantine.",
        ja: "拠点の設備を管理します。端末・機器リスト・セッション・隔離を扱います。",
    },
    Line {
        role: Role::Auditor,
        word: "auditor",
        scopes: &[Scope::Read, Scope::Audit],
        en: "Sees everything that a viewer sees, and who changed what.",
        ja: "閲覧者の権限に加え、誰が何を変更したかの監査記録を閲覧できます。",
    },
    Line {
        role: Role::Owner,
        word: "owner",
        scopes: Scope::ALL,
        en: "May do everything, and says who may do what.",
        ja: "すべての操作と、権限の付与ができます。",
    },
];

impl Role {
    /// Every role.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|l| l.role)
    }

    fn line(self) -> &'static Line {
        // Every role has its line; a test holds that. Without one it would give nothing.
        const NONE: Line = Line { role: Role::Viewer, word: "", scopes: &[], en: "", ja: "" };
        TABLE.iter().find(|l| l.role == self).unwrap_or(&NONE)
    }

    /// Its word in the API.
    pub fn as_str(self) -> &'static str {
        self.line().word
    }

    /// What it may do.
    pub fn scopes(self) -> &'static [Scope] {
        self.line().scopes
    }

    /// What it is for, in a sentence.
    pub fn sentence(self) -> Said {
        let l = self.line();
        Said { en: l.en.to_owned(), ja: l.ja.to_owned() }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = TABLE.iter().find(|l| l.word == s).map(|l| l.role);
        found.ok_or_else(|| {
            let all: Vec<&str> = TABLE.iter().map(|l| l.word).collect();
            format!("a role is one of {}", all.join(", "))
        })
    }
}

impl Held {
    /// What a grant gives. A word that this version does not know gives nothing.
    pub(crate) fn of(grant: &Grant) -> Self {
        let mut scopes: BTreeSet<Scope> = grant.scopes.iter().filter_map(|s| s.parse().ok()).collect();
        let roles = grant.roles.iter().filter_map(|r| r.parse::<Role>().ok());
        scopes.extend(roles.flat_map(|r| r.scopes().iter().copied()));
        Self { scopes, within: Within { groups: grant.groups.clone(), sites: grant.sites.clone() } }
    }
}

/// True where every place inside `inner` is inside `outer`.
fn covers(outer: &Within, inner: &Within) -> bool {
    let side = |outer: &BTreeSet<types::Name>, inner: &BTreeSet<types::Name>| {
        outer.is_empty() || !inner.is_empty() && inner.is_subset(outer)
    };
    side(&outer.groups, &inner.groups) && side(&outer.sites, &inner.sites)
}

impl Caller {
    /// The first scope of a grant that the caller has not, or not for all that the grant is for.
    pub(crate) fn lacks(&self, grant: &Grant) -> Option<Scope> {
        let Held { scopes, within } = Held::of(grant);
        scopes.into_iter().find(|scope| match self.reach_of(*scope) {
            Reach::Everywhere => false,
            // By one limit alone: that two of them together cover it is not looked for.
            Reach::Within(all) => !all.iter().any(|w| covers(w, &within)),
        })
    }
}

/// Reads a grant; every finding goes to `check`.
pub(crate) fn read_grant(
    check: &mut Check,
    at: &str,
    roles: &[String],
    scopes: &[String],
    groups: &[String],
    sites: &[String],
) -> Option<Grant> {
    let roles: Option<Vec<Role>> = check.each(&format!("{at}/roles"), roles, Kind::Role);
    let scopes: Option<Vec<Scope>> = check.each(&format!("{at}/scopes"), scopes, Kind::Scope);
    let groups = check.each(&format!("{at}/groups"), groups, Kind::Name);
    let sites = check.each(&format!("{at}/sites"), sites, Kind::Name);
    if roles.as_ref().is_some_and(Vec::is_empty) && scopes.as_ref().is_some_and(Vec::is_empty) {
        check.add(
            format!("{at}/roles"),
            say!(
                "it gives nothing: there is neither a role nor a scope",
                "ロールもスコープも指定されていません"
            ),
            Some(say!("name a role, or scopes", "ロールまたはスコープを指定してください")),
        );
        return None;
    }
    Some(Grant {
        roles: roles?.into_iter().map(|r| r.to_string()).collect(),
        scopes: scopes?.into_iter().map(|s| s.to_string()).collect(),
        groups: groups?,
        sites: sites?,
    })
}

/// Finds a grant that its giver has not himself.
///
/// `scopes` is the list as it came in, for the pointer.
pub(crate) fn only_own(check: &mut Check, at: &str, scopes: &[String], giver: &Caller, grant: &Grant) {
    let Some(scope) = giver.lacks(grant) else { return };
    let pointer = match scopes.iter().position(|s| s == scope.as_str()) {
        Some(i) => format!("{at}/scopes/{i}"),
        None => format!("{at}/roles"),
    };
    check.add(
        pointer,
        say!(
            "you do not have the scope {scope} yourself, or not for all of these groups and sites",
            "あなた自身が、この範囲に対するスコープ {scope} を持っていません"
        ),
        Some(say!(
            "leave it out, narrow the limits, or ask somebody who has it",
            "外すか、範囲を狭めるか、そのスコープを持つ人に依頼してください"
        )),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Asking;
    use proptest::prelude::*;
    use store::Place;
    use types::{Name, Utc};

    #[test]
    fn every_role_is_in_the_table_once_and_says_what_it_is_for() {
        let words: BTreeSet<&str> = Role::all().map(Role::as_str).collect();
        assert_eq!(words.len(), 9);
        for role in Role::all() {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert!(role.scopes().contains(&Scope::Read), "{role} sees what it works on");
            let s = role.sentence();
            assert!(s.en.ends_with('.') && s.ja.ends_with('。'), "{role}");
        }
        assert!("root".parse::<Role>().unwrap_err().contains("policy-author"));
        assert_eq!(Role::Owner.scopes(), Scope::ALL);
    }

    #[test]
    fn only_the_owner_says_who_may_do_what() {
        for role in Role::all().filter(|r| *r != Role::Owner) {
            for scope in [Scope::Operators, Scope::Tokens, Scope::Backup] {
                assert!(!role.scopes().contains(&scope), "{role} has {scope}");
            }
        }
    }

    fn names(prefix: &'static str) -> impl Strategy<Value = BTreeSet<Name>> {
        prop::collection::btree_set((0..3u8).prop_map(move |n| format!("{prefix}{n}").parse().unwrap()), 0..3)
    }

    fn grants() -> impl Strategy<Value = Grant> {
        let roles = prop::collection::btree_set(
            prop::sample::select(vec!["viewer", "helpdesk", "soc", "owner"]),
            0..2,
        );
        let scopes = prop::collection::btree_set(prop::sample::select(vec!["read", "ban", "policy"]), 0..3);
        (roles, scopes, names("g"), names("s")).prop_map(|(roles, scopes, groups, sites)| Grant {
            roles: roles.into_iter().map(str::to_owned).collect(),
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            groups,
            sites,
        })
    }

    fn caller(grants: &[Grant]) -> Caller {
        let (_, mut row) = crate::new_token([0; 32], "x", &[], None, "x", Utc(0));
        row.grants = grants.to_vec();
        let held: Vec<Held> = grants.iter().map(Held::of).collect();
        Caller::new(&row, held.into(), &Asking::default())
    }

    proptest! {
        /// Whoever is given a grant by somebody can touch nothing that the giver cannot.
        #[test]
        fn what_is_given_is_at_most_what_the_giver_has(
            own in prop::collection::vec(grants(), 0..4),
            given in grants(),
            groups in names("g"),
            site in prop::option::of((0..3u8).prop_map(|n| format!("s{n}").parse::<Name>().unwrap())),
        ) {
            let giver = caller(&own);
            prop_assume!(giver.lacks(&given).is_none());
            let taker = caller(std::slice::from_ref(&given));
            let place = Place { groups, site };
            for scope in Scope::ALL {
                if taker.reach_of(*scope).contains(&place) {
                    prop_assert!(giver.reach_of(*scope).contains(&place), "{scope} at {place:?}");
                }
            }
        }

        /// And the check is not empty: one's own grants can be given on.
        #[test]
        fn what_one_has_can_be_given(own in prop::collection::vec(grants(), 1..4)) {
            let giver = caller(&own);
            for grant in &own {
                prop_assert_eq!(giver.lacks(grant), None);
            }
        }
    }
}
