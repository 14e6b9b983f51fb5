//! Backups, and the hold after a restore.

use crate::{
    api::{List, page_of_few},
    check::{Check, rfc3339},
    control::{BackupError, ControlError},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, Paging, Params},
    rights::{BackupCapability, ReadCapability, Scope, UnbanCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A backup to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBackup {
    /// Name of the file: 1-100 letters, digits, '-', '_' and '.', not beginning with a dot.
    #[schema(example = "before-the-move.skbackup")]
    name: String,
}

/// A backup that is on the disk of the server's machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Backup {
    /// Where.
    file: String,
    /// Octets.
    octets: u64,
    /// The database is as it was then.
    at: String,
    /// sqlite, or postgres where the database is not in it.
    database: String,
    sims: u64,
    /// How many of them are banned.
    banned: u64,
    /// Records of the revocation journal in it.
    journal_records: u64,
}

/// Makes a backup while everything runs: database, revocation journal and this node's keys, sealed to the recovery
/// key, as a file in the data directory's `backups`. A PostgreSQL database is not in it: its own pg_dump is the way.
#[utoipa::path(post, path = "/api/v1/backups", tag = "system", params(IdempotencyKey), request_body = NewBackup,
    security(("token" = ["backup"])), responses((status = 201, body = Backup)))]
pub(crate) async fn create_backup(
    right: BackupCapability,
    State(s): State<AppState>,
    Body(body): Body<NewBackup>,
) -> Result<(StatusCode, Json<Backup>), Problem> {
    let mut check = Check::default();
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=100).contains(&body.name.len()) || body.name.starts_with('.') || !body.name.chars().all(good) {
        check.add(
            "/name",
            say!("not a name of a file", "ファイル名として使えません"),
            Some(say!(
                "1-100 letters, digits, '-', '_' and '.', not beginning with a dot",
                "英数字と - _ . の 1〜100 文字で、先頭はドット以外にしてください"
            )),
        );
    }
    check.done()?;
    let at = now();
    // Who took the keys away is on record before they go.
    let change = right.caller().change("", at);
    s.store.audit_note(&change, "system.backup", format!("backup:{}", body.name), None).await?;
    let made = s.control.backup(&right, body.name).await.map_err(refused)?;
    let answer = Backup {
        file: made.file,
        octets: made.octets,
        at: rfc3339(made.at),
        database: s.store.kind().to_owned(),
        sims: made.sims,
        banned: made.banned,
        journal_records: made.journal_records,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// A backup that lies in the data directory's `backups`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackupFile {
    name: String,
    /// Octets.
    octets: u64,
    /// When the file was written.
    at: String,
}

/// The backups that lie in the data directory, newest first. What is in them only the recovery key opens: a drill
/// (`sekisho backup drill`) says whether they can be restored.
#[utoipa::path(get, path = "/api/v1/backups", tag = "system", params(Paging), security(("token" = ["backup"])),
    responses((status = 200, body = List<BackupFile>)))]
pub(crate) async fn list(
    right: BackupCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<BackupFile>>, Problem> {
    let all = s.control.backups(&right).await.map_err(unreadable)?;
    let page = page_of_few(all, &p, |b| b.name.clone())?;
    Ok(List::of(page, |b| BackupFile { name: b.name, octets: b.octets, at: rfc3339(b.at) }))
}

fn unreadable(e: ControlError) -> Problem {
    tracing::error!("the backups cannot be listed: {e}");
    e.into()
}

fn refused(e: BackupError) -> Problem {
    match e {
        BackupError::NoRecoveryKey => Problem::new(
            409,
            "no-recovery-key",
            say!("This node has no recovery key", "このノードには回復キーがありません"),
        )
        .fix(say!(
            "make one on the machine with `sekisho backup key`, and put its text away",
            "このマシンで sekisho backup key を実行し、表示された文字列を安全に保管してください"
        )),
        BackupError::NameTaken => Problem::new(
            409,
            "name-taken",
            say!("There is a backup of that name", "同じ名前のバックアップがあります"),
        )
        .fix(say!("give another name", "別の名前を指定してください")),
        BackupError::Failed(why) => {
            tracing::error!("a backup could not be made: {why}");
            Problem::new(
                500,
                "backup-failed",
                say!("The backup was not made", "バックアップを作成できません"),
            )
            .detail(say!("nothing was left behind", "途中のファイルは残っていません"))
            .fix(say!(
                "the log of control names the fault; look at the room on the disk",
                "原因は control のログにあります。ディスクの空き容量も確認してください"
            ))
        }
    }
}

/// Whether every SIM is held after a restore.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldView {
    held: bool,
    /// Since when.
    since: Option<String>,
    /// When the backup was made that was restored.
    backup: Option<String>,
    /// Why.
    reason: Option<String>,
    /// How many SIMs are banned in the database: what has to be confirmed.
    banned: u64,
}

/// Says whether every SIM is held, and how many bans there are to be confirmed.
#[utoipa::path(get, path = "/api/v1/system/hold", tag = "system", security(("token" = ["read"])),
    responses((status = 200, body = HoldView)))]
pub(crate) async fn read_hold(
    _: ReadCapability,
    State(s): State<AppState>,
) -> Result<Json<HoldView>, Problem> {
    let hold = s.store.hold().await?;
    let banned = s.store.count_banned().await?;
    Ok(Json(HoldView {
        held: hold.is_some(),
        since: hold.as_ref().map(|h| rfc3339(h.since)),
        backup: hold.as_ref().map(|h| rfc3339(h.backup)),
        reason: hold.map(|h| h.reason),
        banned,
    }))
}

/// The list of bans is right.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmHold {
    /// How many SIMs are banned (lost or stolen) by the list that you have looked at.
    banned: u64,
    /// Why you know that no ban is missing.
    reason: String,
}

/// Confirms the list of bans after a restore and lets SIMs live again. Needs the rights to unban and to back up; the
/// number of bans is compared, so that nobody confirms a list that he has not seen.
#[utoipa::path(post, path = "/api/v1/system/hold/confirm", tag = "system", params(IdempotencyKey),
    request_body = ConfirmHold, security(("token" = ["unban"])), responses((status = 200, body = HoldView)))]
pub(crate) async fn confirm_hold(
    right: UnbanCapability,
    State(s): State<AppState>,
    Body(body): Body<ConfirmHold>,
) -> Result<Json<HoldView>, Problem> {
    let caller = right.caller();
    if !caller.has(Scope::Backup) {
        return Err(Problem::new(403, "right-missing", say!("A right is missing", "権限が不足しています"))
            .detail(say!(
                "this needs the scope backup beside unban",
                "unban に加えてスコープ backup が必要です"
            )));
    }
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    let banned = s.store.count_banned().await?;
    if banned != body.banned {
        return Err(Problem::new(
            409,
            "not-the-list",
            say!("That is not the list", "失効一覧と一致しません"),
        )
        .detail(say!("{banned} SIMs are banned", "失効中の SIM は {banned} 枚です"))
        .fix(say!(
            "look at the SIMs that are lost or stolen, ban those that are missing, and confirm their number",
            "紛失・盗難の SIM 一覧を確認し、欠けているものを失効させてから、その枚数を指定してください"
        )));
    }
    if !s.store.lift_hold(&caller.change(&body.reason, now())).await? {
        return Err(Problem::new(409, "not-held", say!("No SIM is held", "保留中の SIM はありません")));
    }
    s.control.hold_lifted().await?;
    Ok(Json(HoldView { held: false, since: None, backup: None, reason: None, banned }))
}
