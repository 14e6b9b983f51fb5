//! What must outlive a crash: the data directory and its key, the revocation journal with its copies, the backups.

use super::{
    judge::{EDIT, List, both},
    machine::{CopySeen, Machine},
};
use crate::config::Config;

pub(super) fn files(l: &mut List, c: &Config, m: &Machine) {
    let (dir, key) = (c.paths.data.display().to_string(), c.key_file().display().to_string());
    let what = || both!("data directory", "データディレクトリ");
    match m.data_mode {
        Some(mode) if mode & 0o077 == 0 => l.good("data", what(), both!("{dir}", "{dir}")),
        Some(mode) => l.bad(
            "data-mode",
            what(),
            both!(
                "{dir} is open to others (mode {mode:o})",
                "{dir} に他のユーザーもアクセスできます (モード {mode:o})"
            ),
            both!("close it to all but its owner", "所有者以外のアクセスを禁止してください"),
            format!("chmod 700 {dir}"),
        ),
        None => l.note(
            "data-missing",
            what(),
            both!("{dir} is not there yet", "{dir} はまだありません"),
            both!("make it with everything in it", "初期化してください"),
            "sekisho init",
        ),
    }
    let what = || both!("key file", "鍵ファイル");
    match m.key {
        Some((_, length)) if length != 32 => l.bad(
            "key-length",
            what(),
            both!("{key} is not a key of 32 octets", "{key} は 32 オクテットの鍵ではありません"),
            both!(
                "put the right file back; without it no SIM's key opens",
                "正しいファイルを戻してください。これがないと SIM の鍵を復号できません"
            ),
            format!("cp /PLACE/OF/THE/COPY/kek.key {key} && chmod 600 {key}"),
        ),
        Some((mode, _)) if mode & 0o077 != 0 => l.bad(
            "key-mode",
            what(),
            both!(
                "others can read {key} (mode {mode:o})",
                "{key} を他のユーザーも読み取れます (モード {mode:o})"
            ),
            both!(
                "close it; who has copied it can open every SIM's key",
                "アクセスを禁止してください。複製した人はすべての SIM の鍵を復号できます"
            ),
            format!("chmod 600 {key}"),
        ),
        Some(_) => l.good("key", what(), both!("{key}", "{key}")),
        None => l.note(
            "key-missing",
            what(),
            both!("{key} is not there yet", "{key} はまだありません"),
            both!("make it", "作成してください"),
            "sekisho init",
        ),
    }
}

pub(super) fn journal(l: &mut List, c: &Config, m: &Machine) {
    let file = c.journal().display().to_string();
    let what = || both!("journal", "ジャーナル");
    match &m.journal {
        None => l.note(
            "journal-missing",
            what(),
            both!("{file} is not there yet", "{file} はまだありません"),
            both!("the gateway makes it at its first start", "ゲートウェイの初回起動時に作成されます"),
            "sekisho run",
        ),
        Some(Err(why)) => l.bad(
            "journal-damaged",
            what(),
            both!("{file} cannot be read: {why}", "{file} を読み取れません: {why}"),
            both!("bring a copy back; what the damaged one says of bans is kept", "コピーから復元してください。破損側に残る停止の記録も引き継がれます"),
            format!("sekisho journal verify {file}"),
        ),
        // Both heads in one line: who reads it sees which is behind.
        Some(Ok(records)) => match m.database_knows {
            Some(known) if known > *records => l.bad(
                "journal-behind",
                what(),
                both!(
                    "head at record {records}; the database knows of {known}: the end of the journal is missing",
                    "先頭は {records} 件目。データベースは {known} 件を記録しており、ジャーナルの末尾が失われています"
                ),
                both!("the bans of both are in force; restore a copy of the journal", "両方の停止が有効です。ジャーナルのコピーを復元してください"),
                format!("sekisho journal verify {file}"),
            ),
            Some(known) => l.good(
                "journal",
                what(),
                both!("head at record {records}; the database knows of {known}", "先頭は {records} 件目。データベースの記録は {known} 件"),
            ),
            None => l.good("journal", what(), both!("head at record {records}", "先頭は {records} 件目")),
        },
    }
    let what = || both!("hold", "保留");
    match &m.held {
        Some(why) => l.bad(
            "held",
            what(),
            both!("every SIM is held: {why}", "すべての SIM が保留中です: {why}"),
            both!(
                "look at the banned SIMs, then confirm their number",
                "停止中の SIM を確認し、その件数を確定してください"
            ),
            "sekisho restore confirm --banned NUMBER --reason WHY",
        ),
        None => l.good("hold", what(), both!("no SIM is held", "保留中の SIM はありません")),
    }
}

pub(super) fn backups(l: &mut List, m: &Machine) {
    const WEEK: u64 = 7 * 86_400;
    let what = || both!("backups", "バックアップ");
    if !m.recovery_key {
        return l.note(
            "no-recovery-key",
            what(),
            both!(
                "there is no recovery key, so no backup can be made",
                "復旧鍵がないため、バックアップを作成できません"
            ),
            both!("make one and write it down", "作成して控えてください"),
            "sekisho backup key",
        );
    }
    match m.backup_age {
        None => l.note(
            "backup-none",
            what(),
            both!("no backup lies on this machine", "このマシンにバックアップがありません"),
            both!("make one, then take the file away", "作成し、ファイルを別の場所に保管してください"),
            "sekisho backup make",
        ),
        Some(age) if age > WEEK => {
            let days = age / 86_400;
            l.note(
                "backup-old",
                what(),
                both!("the newest is {days} days old", "最新のものは {days} 日前です"),
                both!("make one, then take the file away", "作成し、ファイルを別の場所に保管してください"),
                "sekisho backup make",
            );
        }
        Some(age) => {
            let hours = age / 3600;
            l.good(
                "backups",
                what(),
                both!("the newest is {hours} hours old", "最新のものは {hours} 時間前です"),
            );
        }
    }
}

pub(super) fn copies(l: &mut List, m: &Machine) {
    let what = || both!("journal copy", "ジャーナルのコピー");
    let log = "journalctl -u sekisho -n 100 | grep -i copy";
    if m.copies.is_empty() {
        l.note(
            "copy-none",
            what(),
            both!("the revocation journal has no copy off this machine", "停止ジャーナルのコピーが別のマシンにありません"),
            both!(
                "name a place in gateway.journal_copies: a ban survives a crash of this machine, not its loss",
                "gateway.journal_copies に保存先を指定してください。停止は障害後も残りますが、マシンごと失うと残りません"
            ),
            EDIT,
        );
    }
    for (place, copy) in &m.copies {
        match copy {
            CopySeen::Has(n, 0) => {
                l.good("copy", what(), both!("{place} has all {n} records", "{place} は全 {n} 件を保持"))
            }
            CopySeen::Has(_, behind) => l.note(
                "copy-behind",
                what(),
                both!("{place} is {behind} records behind", "{place} は {behind} 件遅れています"),
                both!("see what the gateway's log says of it", "ゲートウェイのログを確認してください"),
                log,
            ),
            CopySeen::SameDisk => l.note(
                "copy-same-disk",
                what(),
                both!("{place} is on the journal's own disk", "{place} はジャーナルと同じディスクにあります"),
                both!("name another disk", "別のディスクを指定してください"),
                EDIT,
            ),
            CopySeen::Fails(why) => l.bad(
                "copy-fails",
                what(),
                both!("{place}: {why}", "{place}: {why}"),
                both!(
                    "mount it or correct the path; a sink must answer",
                    "マウントするかパスを訂正してください。送信先なら応答を確認してください"
                ),
                format!("ls -ld {place}; {log}"),
            ),
            CopySeen::Silent => l.note(
                "copy-silent",
                what(),
                both!("{place} has not answered yet", "{place} はまだ応答していません"),
                both!("see what the gateway's log says of it", "ゲートウェイのログを確認してください"),
                log,
            ),
        }
    }
}
