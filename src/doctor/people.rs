//! What people and other systems meet: the console and its certificate, the identity provider, where audit and alerts go.

use super::{
    judge::{DAY, EDIT, List, both},
    machine::Machine,
};
use crate::config::Config;
use admin_web::Standing;

pub(super) fn deliveries(l: &mut List, m: &Machine) {
    let what = || both!("delivery", "配信");
    let all = match &m.deliveries {
        Err(why) => {
            return l.bad(
                "delivery-wrong",
                what(),
                both!("{why}", "{why}"),
                both!("correct it in [[delivery]]", "[[delivery]] を訂正してください"),
                EDIT,
            );
        }
        Ok(all) => all,
    };
    if all.is_empty() {
        l.note(
            "delivery-none",
            what(),
            both!("audit and alerts stay on this machine", "監査とアラートはこのマシンにしか残りません"),
            both!(
                "add a [[delivery]]: whoever owns this machine could cut the end of the audit unseen",
                "[[delivery]] を追加してください。このマシンの管理者が監査の末尾を気付かれずに消せる状態です"
            ),
            EDIT,
        );
    }
    for (name, answer) in all {
        match answer {
            Ok(()) => l.good("delivery", what(), both!("{name} answers", "{name} は応答しています")),
            Err(why) => l.bad(
                "delivery-silent",
                what(),
                both!("{name}: {why}", "{name}: {why}"),
                both!(
                    "nothing is lost before it is older than what is kept; try it by hand",
                    "保持期間内であれば失われません。手動で試してください"
                ),
                format!("sekisho delivery test {name}"),
            ),
        }
    }
}

pub(super) fn provider(l: &mut List, c: &Config, m: &Machine) {
    let (Some(seen), Some(oidc)) = (&m.provider, &c.oidc) else { return };
    let what = || both!("identity provider", "ID プロバイダー");
    let (name, issuer, base) = (&oidc.name, oidc.issuer.trim_end_matches('/'), &oidc.base_url);
    match &seen.answer {
        Ok(()) => l.good("provider", what(), both!("{name} answers", "{name} は応答しています")),
        Err(why) => l.bad(
            "provider-silent",
            what(),
            both!("{name}: {why}", "{name}: {why}"),
            both!(
                "see that this machine reaches it and trusts its certificate (oidc.issuer, oidc.ca); local operators sign in meanwhile",
                "このマシンから到達でき、証明書を信頼しているか確認してください (oidc.issuer、oidc.ca)。その間もローカルのオペレーターはサインインできます"
            ),
            format!("curl -sS {issuer}/.well-known/openid-configuration"),
        ),
    }
    if let Some(why) = &seen.lost {
        l.note(
            "provider-way-back",
            what(),
            both!(
                "people come back from it to {base}: {why}",
                "サインイン後の戻り先は {base} です: {why}"
            ),
            both!(
                "write in oidc.base_url how browsers reach the console, and the same at the provider; a proxy in front of the API makes this right",
                "oidc.base_url にブラウザーからコンソールに到達するアドレスを書き、プロバイダー側にも同じものを登録してください。API の前段にプロキシがある場合は問題ありません"
            ),
            EDIT,
        );
    }
}

pub(super) fn certificate(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("certificate", "証明書");
    let key = c.api.private_key.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
    let file = c.api.certificate.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
    let show = format!("openssl x509 -in {file} -noout -dates");
    let cert = match &m.certificate {
        None => return,
        Some(Err(why)) => {
            return l.bad(
                "certificate-unreadable",
                what(),
                both!("{why}", "{why}"),
                both!(
                    "put the right file there, or correct api.certificate",
                    "正しいファイルを置くか、api.certificate を訂正してください"
                ),
                format!("openssl x509 -in {file} -noout -text"),
            );
        }
        Some(Ok(cert)) => cert,
    };
    let now = m.utc_ms / 1000;
    let days = (cert.until - now) / DAY;
    let renew = || both!("put a new one there and restart", "新しい証明書に置き換えて再起動してください");
    if now < cert.from {
        l.bad(
            "certificate-early",
            what(),
            both!("it does not hold yet", "まだ有効期間が始まっていません"),
            both!("see whether it or the clock is wrong", "証明書と時計のどちらが誤りか確認してください"),
            format!("date -u; {show}"),
        );
    } else if now >= cert.until {
        l.bad(
            "certificate-expired",
            what(),
            both!("it has run out", "有効期限が切れています"),
            renew(),
            show,
        );
    } else if days < 30 {
        l.note(
            "certificate-soon",
            what(),
            both!("it runs out in {days} days", "あと {days} 日で期限が切れます"),
            renew(),
            show,
        );
    } else {
        l.good("certificate", what(), both!("it holds for {days} days", "有効期限まで {days} 日"));
    }
    if let Some(mode) = cert.key_mode.filter(|mode| mode & 0o077 != 0) {
        l.bad(
            "certificate-key-mode",
            what(),
            both!(
                "others can read its key {key} (mode {mode:o})",
                "秘密鍵 {key} を他のユーザーも読み取れます (モード {mode:o})"
            ),
            both!("close it", "アクセスを禁止してください"),
            format!("chmod 600 {key}"),
        );
    }
}

pub(super) fn console(l: &mut List, m: &Machine) {
    let what = || both!("console", "コンソール");
    let get = m.console.fix().unwrap_or_default();
    match &m.console {
        Standing::Current(d) => {
            l.good("console", what(), both!("built from sources {d}", "ソース {d} からビルド"))
        }
        Standing::Missing => l.note(
            "console-missing",
            what(),
            both!(
                "it is not in this binary; API and command line work",
                "このバイナリには含まれていません。API とコマンドラインは使えます"
            ),
            both!("build it where Node 20 or later is", "Node 20 以降のある環境でビルドしてください"),
            get,
        ),
        Standing::Stale { built, sources } => l.note(
            "console-stale",
            what(),
            both!(
                "it was built from other sources ({built}) than this binary ({sources})",
                "バイナリ ({sources}) と異なるソース ({built}) からビルドされています"
            ),
            both!("build both anew", "両方を再ビルドしてください"),
            get,
        ),
    }
}
