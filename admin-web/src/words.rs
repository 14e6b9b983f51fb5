//! What happened, in words that people read, in both languages: titles of timeline entries and of alerts.

use crate::problem::{Said, say};
use types::{
    AlertKind, AlertRule, ForeignRefusal, Happening, MmeUpdate, RefusalReason, RuleResponse, SimState,
    SmfState, Withdrawal,
};

/// What happened, in one line. The SIM is told beside it.
pub fn happening(what: &Happening) -> Said {
    match what {
        Happening::GnbUp { name, address } => {
            say!("radio {name} connected from {address}", "基地局 {name} が {address} から接続しました")
        }
        Happening::GnbRefused { address, why } => {
            say!("a radio at {address} was refused: {why}", "{address} の基地局の接続を拒否しました: {why}")
        }
        Happening::GnbDown { name } => say!("radio {name} is gone", "基地局 {name} が切断されました"),
        Happening::Registered { gnb, .. } => say!("registered at {gnb}", "{gnb} で在圏登録しました"),
        Happening::Moved { from, to, .. } => {
            say!("went over from {from} to {to}", "{from} から {to} へ移動しました")
        }
        Happening::RegistrationRefused { authenticated, cause, reason, gnb, .. } => {
            let why = refusal(*reason);
            let (en, ja) = if *authenticated {
                ("authenticated", "認証済み")
            } else {
                ("only claimed", "自己申告のみ")
            };
            Said {
                en: format!("registration refused at {gnb}: {} (identity {en}, cause {})", why.en, cause.0),
                ja: format!(
                    "{gnb} での在圏登録を拒否しました: {} (識別情報: {ja}、原因値 {})",
                    why.ja, cause.0
                ),
            }
        }
        Happening::Deregistered { by_network: true, .. } => {
            say!("deregistered by the network", "網側から登録を解除しました")
        }
        Happening::Deregistered { by_network: false, .. } => {
            say!("the device deregistered", "端末が登録を解除しました")
        }
        Happening::SessionUp { dnn, ip, .. } => {
            say!("session to {dnn} is up with address {ip}", "{dnn} への接続を開始しました (アドレス {ip})")
        }
        Happening::SessionRefused { dnn, cause, .. } => {
            let dnn = dnn.as_ref().map(ToString::to_string).unwrap_or_default();
            let cause = cause.0;
            say!("session to {dnn} refused, cause {cause}", "{dnn} への接続を拒否しました (原因値 {cause})")
        }
        Happening::SessionDown { dnn, ip, .. } => {
            say!("session to {dnn} with address {ip} ended", "{dnn} への接続を終了しました (アドレス {ip})")
        }
        Happening::SimState { from, to, actor, reason } => {
            let (f, t) = (sim_state(*from), sim_state(*to));
            Said {
                en: format!("state changed from {} to {} by {actor}: {reason}", f.en, t.en),
                ja: format!("{actor} が状態を「{}」から「{}」に変更しました: {reason}", f.ja, t.ja),
            }
        }
        Happening::BannedReuse { authenticated, gnb, attempts, .. } => {
            let (en, ja) = if *authenticated {
                ("authenticated", "認証済み")
            } else {
                ("only claimed", "自己申告のみ")
            };
            Said {
                en: format!("a banned SIM came at {gnb} (identity {en}), attempt {attempts}"),
                ja: format!("停止中の SIM が {gnb} に現れました (識別情報: {ja}、{attempts} 回目)"),
            }
        }
        Happening::Revoked { kind, scope, sims, actor, reason, .. } => {
            let many = if *sims == 1 { "1 SIM".to_owned() } else { format!("{sims} SIMs") };
            let ja = match kind.as_str() {
                "ban" => "停止",
                "unban" => "停止の解除",
                "quarantine" => "隔離",
                "release" => "隔離の解除",
                "panic" => "非常停止",
                "calm" => "非常停止の解除",
                other => other,
            };
            Said {
                en: format!("{kind} of {scope} ({many}) by {actor}: {reason}"),
                ja: format!("{actor} が {scope} に対し{ja}を実行しました (SIM {sims} 件): {reason}"),
            }
        }
        Happening::JournalBehind { known, has } => say!(
            "the journal of bans has {has} records, the database knows {known}",
            "停止ジャーナルは {has} 件ですが、データベースは {known} 件まで把握しています"
        ),
        Happening::DatabaseBehind { bans, .. } => say!(
            "the database lacked {bans} bans that the journal has; they were recorded",
            "データベースに無い停止 {bans} 件をジャーナルから記録しました"
        ),
        Happening::ReconcilerRemoved { kind, count } => say!(
            "the reconciler ended {count} of {kind} that may not live",
            "許可されていない {kind} を {count} 件、整合処理で終了しました"
        ),
        Happening::ScheduleDropped { to, actor, why } => {
            let t = sim_state(*to);
            let (why_en, why_ja) = match why.as_str() {
                "banned" => ("it is banned", "停止中です"),
                "retired" => ("it is retired", "廃止済みです"),
                "not-suspended" => ("it is not suspended", "一時停止中ではありません"),
                "already" => ("it is so already", "すでにその状態です"),
                _ => ("its state does not allow it", "現在の状態からは変更できません"),
            };
            Said {
                en: format!("the change to {} that {actor} had planned was dropped: {why_en}", t.en),
                ja: format!("{actor} が予約した「{}」への変更は行いませんでした: {why_ja}", t.ja),
            }
        }
        Happening::SimsImported { job, actor, new, changed } => say!(
            "{actor} imported SIMs (job {job}): {new} new, {changed} changed",
            "{actor} が SIM を取り込みました (ジョブ {job}): 新規 {new}、変更 {changed}"
        ),
        Happening::SimsImportUndone { job, actor, removed, restored, kept } => say!(
            "the import by {actor} (job {job}) was undone: {removed} removed, {restored} restored, {kept} kept",
            "{actor} による取り込み (ジョブ {job}) を取り消しました: 削除 {removed}、復元 {restored}、保持 {kept}"
        ),
        Happening::DeviceMismatch { expected, seen, .. } => {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let expected = expected.join(", ");
            if let (None, true) = (seen, expected.is_empty()) {
                return say!(
                    "used in a device that does not name itself",
                    "IMEI を通知しない端末で使われました"
                );
            }
            let (list_en, list_ja) = if expected.is_empty() {
                ("a device of the white list".to_owned(), "ホワイトリストの端末".to_owned())
            } else {
                (expected.clone(), expected)
            };
            let (seen_en, seen_ja) = match seen {
                Some(d) => (d.to_string(), format!("端末 {d}")),
                None => ("a device that does not name itself".to_owned(), "IMEI を通知しない端末".to_owned()),
            };
            Said {
                en: format!("bound to {list_en}, used in {seen_en}"),
                ja: format!("{list_ja} に限られた SIM が{seen_ja}で使われました"),
            }
        }
        Happening::EquipmentBlack { device, by } => say!(
            "used in device {device}, which is black (entry {by})",
            "ブラックリスト (登録 {by}) の端末 {device} で使われました"
        ),
        Happening::EquipmentGrey { device, by } => say!(
            "used in device {device}, which is grey (entry {by})",
            "グレーリスト (登録 {by}) の端末 {device} で使われています"
        ),
        Happening::DeviceLearned { device, bound: true } => {
            say!("bound to device {device}, its first", "最初に使われた端末 {device} に固定しました")
        }
        Happening::DeviceLearned { device, bound: false } => {
            say!("used in device {device} for the first time", "端末 {device} で初めて使われました")
        }
        Happening::DeviceChanged { from, to } => {
            say!("moved from device {from} to {to}", "端末が {from} から {to} に変わりました")
        }
        Happening::CloneFound { seen, before, .. } => {
            let (here, there) = (&seen.gnb, &before.gnb);
            say!(
                "a clone is proved: two holders of one secret, at {here} and at {there}",
                "複製された SIM を確認しました: 同じ鍵が {here} と {there} の 2 か所で使われています"
            )
        }
        Happening::CloneSuspected { seen, before, .. } => {
            let (here, there) = (&seen.gnb, &before.gnb);
            say!(
                "a clone is possible, not proved: at {here} and at {there}",
                "SIM の複製が疑われます (未確認): {here} と {there}"
            )
        }
        Happening::PolicyPublished { generation } => {
            say!("policy {generation} is in force", "ポリシー世代 {generation} を適用しました")
        }
        Happening::Gateway { up: true } => say!("the gateway is there", "ゲートウェイが稼働しています"),
        Happening::Gateway { up: false } => {
            say!("the gateway is gone: no packet passes", "ゲートウェイが停止し、通信は通りません")
        }
        Happening::PolicyDisagreement { peer } => say!(
            "rules and compiled rows disagree about {peer}: denied",
            "{peer} への通信についてルールと適用内容が食い違うため、拒否しました"
        ),
        Happening::AuditBroken { seq, why } => {
            say!("the audit is broken at row {seq}: {why}", "監査記録が {seq} 行目で壊れています: {why}")
        }
        Happening::EventsLost { count, .. } => say!(
            "{count} events could not be kept and are lost",
            "{count} 件のイベントを保存できず、失われました"
        ),
        Happening::DeliveryFailing { destination, why, .. } => {
            say!("nothing arrives at {destination}: {why}", "{destination} へ配信できません: {why}")
        }
        Happening::DiskFull { place } => say!(
            "the disk is full: {place} cannot be written",
            "ディスクに空きがなく、{place} に書き込めません"
        ),
        Happening::MmeUp { name } => say!("MME {name} connected", "MME {name} が接続しました"),
        Happening::MmeDown { name, why } => {
            say!("MME {name} is gone: {why}", "MME {name} が切断されました: {why}")
        }
        Happening::MmeRefused { claimed, address, why } => say!(
            "{claimed} at {address} was refused as an MME: {why}",
            "MME を名乗る {claimed} ({address}) の接続を拒否しました: {why}"
        ),
        Happening::Smf { name, state } => smf(name, *state),
        Happening::ForeignUp { smf, dnn, ip } => say!(
            "session to {dnn} is up with address {ip}, steered by {smf}",
            "{smf} の制御で {dnn} への接続を開始しました (アドレス {ip})"
        ),
        Happening::ForeignDown { smf, dnn, ip } => say!(
            "session to {dnn} with address {ip}, steered by {smf}, ended",
            "{smf} の制御による {dnn} への接続を終了しました (アドレス {ip})"
        ),
        Happening::ForeignRefused { smf, dnn, why } => {
            let Said { en, ja } = foreign_refusal(*why);
            say!(
                "{smf} wanted a session to {dnn}: refused, {en}",
                "{smf} が求めた {dnn} への接続を拒否しました: {ja}"
            )
        }
        Happening::MmeServes { mme } => say!("served by {mme}", "{mme} で在圏登録しました"),
        Happening::MmePurged { mme } => {
            say!("{mme} has forgotten the SIM", "{mme} が SIM の情報を消去しました")
        }
        Happening::MmeUpdated { mme, how } => match how {
            MmeUpdate::Sent => {
                say!(
                    "{mme} is told that its subscription has changed",
                    "{mme} に契約内容の変更を通知しました"
                )
            }
            MmeUpdate::Taken => {
                say!("{mme} has taken the changed subscription", "{mme} が契約内容の変更を受け付けました")
            }
            MmeUpdate::Declined => say!(
                "{mme} has not taken the changed subscription; it gets it when it is back, or at the next attach",
                "{mme} が契約内容の変更を受け付けませんでした。再接続時または次のアタッチで反映されます"
            ),
            MmeUpdate::Unsupported => say!(
                "{mme} does not know changes of a subscription; it gets them at the next attach",
                "{mme} は契約内容の変更通知に対応していません。次のアタッチで反映されます"
            ),
        },
        Happening::MmeReset { mme, how } => match how {
            MmeUpdate::Sent => say!(
                "{mme} is told to ask anew about the SIMs that it serves",
                "{mme} に在圏中の SIM の再問い合わせを指示しました"
            ),
            MmeUpdate::Taken => say!(
                "{mme} asks anew about the SIMs that it serves, each at its next sign of life",
                "{mme} が在圏中の SIM を順次問い合わせます"
            ),
            MmeUpdate::Declined => {
                say!("{mme} does not ask anew", "{mme} が再問い合わせの指示を受け付けませんでした")
            }
            MmeUpdate::Unsupported => say!(
                "{mme} does not know that it may be told to ask anew; changes count from the next attach",
                "{mme} は再問い合わせの指示に対応していません。変更は次のアタッチで反映されます"
            ),
        },
        Happening::MmeDenied { mme, reason } => {
            let why = refusal(*reason);
            Said {
                en: format!("{mme} asked for it and was refused: {}", why.en),
                ja: format!("{mme} からの問い合わせを拒否しました: {}", why.ja),
            }
        }
        Happening::Withdrawn { mme, how } => match how {
            Withdrawal::Sent => {
                say!("{mme} was told to let it go", "{mme} に在圏の取り消しを指示しました")
            }
            Withdrawal::Acknowledged => say!(
                "{mme} has acknowledged that it lets it go; whether it does is not seen yet",
                "{mme} が在圏の取り消しを受け付けました (実行は未確認です)"
            ),
            Withdrawal::Declined => {
                say!(
                    "{mme} does not let it go; it is told again",
                    "{mme} が取り消しに応じません。再度指示します"
                )
            }
            Withdrawal::Effective => say!("{mme} has let it go", "{mme} での在圏が終了しました"),
        },
        Happening::SmfUp { name } => say!("SMF {name} connected", "SMF {name} が接続しました"),
        Happening::SmfDown { name, why } => {
            say!("SMF {name} is gone: {why}", "SMF {name} が切断されました: {why}")
        }
        Happening::SmfRefused { claimed, address, why } => say!(
            "{claimed} at {address} was refused as an SMF: {why}",
            "SMF を名乗る {claimed} ({address}) の接続を拒否しました: {why}"
        ),
        Happening::SmfSessionUp { smf, dnn, address } => {
            say!("session in {dnn} at {smf} with {address}", "{smf} で {dnn} に接続しました ({address})")
        }
        Happening::SmfSessionDown { smf, dnn } => {
            say!("session in {dnn} at {smf} ended", "{smf} での {dnn} への接続が終了しました")
        }
        Happening::SmfDenied { smf, dnn, reason } => {
            let why = refusal(*reason);
            Said {
                en: format!("{smf} asked for a session in {dnn} and was refused: {}", why.en),
                ja: format!("{smf} からの {dnn} への接続要求を拒否しました: {}", why.ja),
            }
        }
        Happening::SmfWrongAddress { smf, dnn, given, ours } if ours.is_empty() => say!(
            "{smf} gave it {given} in {dnn}, which is not its address; the session was refused",
            "{smf} が {dnn} で割り当てた {given} はこの SIM のアドレスではないため、接続を拒否しました"
        ),
        Happening::SmfWrongAddress { smf, dnn, given, ours } => say!(
            "{smf} gave it {given} in {dnn}, and its address is {ours}; the session was refused",
            "{smf} が {dnn} で {given} を割り当てましたが、この SIM のアドレスは {ours} のため、接続を拒否しました"
        ),
        Happening::SessionWithdrawn { smf, dnn, how } => match how {
            Withdrawal::Sent => {
                say!(
                    "{smf} was told to end the session in {dnn}",
                    "{smf} に {dnn} のセッション解放を指示しました"
                )
            }
            Withdrawal::Acknowledged => say!(
                "{smf} has acknowledged that it ends the session in {dnn}; whether it does is not seen yet",
                "{smf} が {dnn} のセッション解放を受け付けました (実行は未確認です)"
            ),
            Withdrawal::Declined => say!(
                "{smf} does not end the session in {dnn}; it is told again",
                "{smf} が {dnn} のセッション解放に応じません。再度指示します"
            ),
            Withdrawal::Effective => {
                say!("{smf} has ended the session in {dnn}", "{smf} での {dnn} のセッションが終了しました")
            }
        },
        Happening::RuleFired { rule, response, subject, count } => fired(*rule, *response, subject, *count),
        Happening::Alarm { text } => Said { en: text.clone(), ja: text.clone() },
    }
}

/// Why a SIM was refused.
pub fn refusal(reason: RefusalReason) -> Said {
    use RefusalReason as R;
    match reason {
        R::UnknownSim => say!("no such SIM", "登録されていない SIM です"),
        R::SuciUnreadable => {
            say!("the concealed identity cannot be opened", "秘匿された識別情報を復号できません")
        }
        R::SuciInClear => say!(
            "the SIM tells its identity in clear, and this network takes it concealed only",
            "SIM が識別情報を平文で送信しました。このネットワークは秘匿された識別情報のみを受け付けます"
        ),
        R::SuciKeyUnknown => say!(
            "the identity is concealed for a home network key that there is not",
            "識別情報の秘匿に使われたホームネットワーク鍵が登録されていません"
        ),
        R::SuciKeyRefused => say!(
            "the identity is concealed for a home network key that is accepted no longer",
            "識別情報の秘匿に使われたホームネットワーク鍵は受付を終了しています"
        ),
        R::Stock => say!("the SIM is in stock", "在庫状態の SIM です"),
        R::Suspended => say!("the SIM is suspended", "一時停止中の SIM です"),
        R::Lost => say!("the SIM is banned as lost", "紛失として停止された SIM です"),
        R::Stolen => say!("the SIM is banned as stolen", "盗難として停止された SIM です"),
        R::Retired => say!("the SIM is retired", "廃止された SIM です"),
        R::DeviceMismatch => say!("the SIM is in another device", "SIM が別の端末に挿されています"),
        R::NoDevice => say!("the device does not name itself", "端末が IMEI を通知しません"),
        R::EquipmentBlack => {
            say!("the device is black-listed or banned", "ブラックリストまたは停止対象の端末です")
        }
        R::Resync => say!("re-synchronisation failed or came too often", "再同期の失敗または回数超過です"),
        R::WrongResponse => say!("the answer to the challenge is wrong", "認証応答が正しくありません"),
        R::NothingInCommon => {
            say!(
                "no slice, data network or algorithm in common",
                "共通のスライス・データネットワーク・アルゴリズムがありません"
            )
        }
        R::NotServedHere => {
            say!("network or tracking area not served here", "対象外のネットワークまたはエリアです")
        }
        R::Overload => say!("too much to do at the moment", "一時的な過負荷です"),
        R::Unavailable => say!("a part that must answer first does not", "必要な構成要素が応答しません"),
    }
}

/// State of a SIM.
pub fn sim_state(s: SimState) -> Said {
    match s {
        SimState::Stock => say!("stock", "在庫"),
        SimState::Ready => say!("ready", "利用前"),
        SimState::Active => say!("active", "利用中"),
        SimState::Suspended => say!("suspended", "一時停止"),
        SimState::Lost => say!("lost", "紛失"),
        SimState::Stolen => say!("stolen", "盗難"),
        SimState::Retired => say!("retired", "廃止"),
    }
}

/// What an alert is about, in a few words.
pub fn alert(kind: AlertKind) -> Said {
    use AlertKind as A;
    match kind {
        A::BannedReuse => say!("A banned SIM tried to come back", "停止中の SIM が再接続を試みました"),
        A::DeviceMismatch => {
            say!("A SIM is in a device that is not its own", "SIM が登録外の端末で使われました")
        }
        A::CloneFound => say!("A SIM is cloned", "SIM の複製を確認しました"),
        A::CloneSuspected => say!("A SIM may be cloned", "SIM の複製の疑いがあります"),
        A::EquipmentBlack => {
            say!("A device of the black list was used", "ブラックリストの端末が使われました")
        }
        A::EquipmentGrey => {
            say!("A device of the grey list is in use", "グレーリストの端末が使われています")
        }
        A::PolicyDisagreement => {
            say!("Rules and compiled policy disagree", "ルールと適用内容が食い違っています")
        }
        A::JournalBehind => say!("The revocation journal is behind", "停止ジャーナルが古い状態です"),
        A::DatabaseBehind => {
            say!("The database is behind the journal", "データベースがジャーナルより古い状態です")
        }
        A::CopyBehind => say!("A copy of the journal is behind", "ジャーナルの複製が遅れています"),
        A::DiskFull => say!("A disk is full", "ディスクに空きがありません"),
        A::AuditBroken => say!("The audit is broken", "監査記録が壊れています"),
        A::ReconcilerRemoved => {
            say!("Something lived that should not have", "存在してはならない接続を終了しました")
        }
        A::RecordsLost => say!("Records were lost", "記録の一部が失われました"),
        A::DeliveryFailing => say!("Nothing arrives at a destination", "配信先に届いていません"),
        A::UnusualPlace => {
            say!("A proof failed at an unusual place", "普段と異なる場所で本人確認に失敗しました")
        }
        A::NotCompliant => say!("A device is not compliant", "端末がセキュリティ要件を満たしていません"),
        A::MuchData => say!("A SIM moved much data", "SIM の通信量が基準を超えました"),
        A::Escalation => say!("Somebody tries what is refused", "権限のない操作・接続が繰り返されました"),
        A::NightAccess => say!("Access at night", "深夜のアクセスがありました"),
        A::Alarm => say!("Somebody should look at this", "確認が必要です"),
    }
}

/// What to do about an alert.
pub fn advice(kind: AlertKind) -> Said {
    use AlertKind as A;
    match kind {
        A::BannedReuse => say!(
            "whoever has the SIM is at the cell named here; the ban holds, nothing passes",
            "SIM の所持者は記載のセルにいます。停止は有効で、通信は通りません"
        ),
        A::DeviceMismatch => say!(
            "ask its owner; where the device was changed on purpose, change the SIM's device",
            "利用者に確認してください。正当な端末交換であれば SIM の端末登録を変更してください"
        ),
        A::CloneFound | A::CloneSuspected => say!(
            "ban the SIM and give its owner a new card; find out who had the keys",
            "SIM を停止して新しいカードを発行し、鍵の取扱者を調査してください"
        ),
        A::EquipmentGrey => say!(
            "the device is served; make it white or black once you know",
            "端末は接続できています。確認のうえ、白または黒に変更してください"
        ),
        A::EquipmentBlack => say!(
            "the device was refused; find out who uses it",
            "端末は拒否されました。使用者を確認してください"
        ),
        A::PolicyDisagreement => say!(
            "the packet was denied; report it with the output of policy explain",
            "通信は拒否されました。policy explain の出力を添えて報告してください"
        ),
        A::JournalBehind | A::DatabaseBehind => say!(
            "the union of both is enforced; check whether an old copy was put back",
            "両方の和集合を適用しています。古いバックアップが戻されていないか確認してください"
        ),
        A::CopyBehind => say!(
            "look whether the place of the copy can be reached and has room",
            "複製先に到達でき、空きがあるか確認してください"
        ),
        A::DiskFull => {
            say!("free space; bans still work", "空きを増やしてください。停止操作は引き続き使えます")
        }
        A::AuditBroken => say!(
            "keep the database as it is, and run sekisho audit verify against the copies kept elsewhere",
            "データベースを保全し、別に保管した写しに対して sekisho audit verify を実行してください"
        ),
        A::ReconcilerRemoved => {
            say!("it is ended; find out how it came to live", "終了済みです。発生した経緯を確認してください")
        }
        A::RecordsLost => say!(
            "look why they could not be kept: disk, database or a destination that was away too long",
            "ディスク・データベース・配信先の停止など、保存できなかった原因を確認してください"
        ),
        A::DeliveryFailing => say!(
            "try it with sekisho delivery test; what waits is sent when it is back",
            "sekisho delivery test で確認してください。復旧後に未送信分を送ります"
        ),
        A::UnusualPlace => say!(
            "ask the person; suspended SIMs live again by sekisho sim resume",
            "本人に確認してください。一時停止した SIM は sekisho sim resume で再開できます"
        ),
        A::NotCompliant => say!(
            "look what the device lacks (sekisho sim facts); the quarantine ends when it is compliant",
            "不足している項目を sekisho sim facts で確認してください。要件を満たすと隔離は解除されます"
        ),
        A::MuchData => say!(
            "look where it went: sekisho flows with the SIM",
            "通信先をフロー記録 (sekisho flows) で確認してください"
        ),
        A::Escalation => say!(
            "ask who it was; sekisho operator enable, token resume or quarantine --release gives it back",
            "本人に確認してください。解除は sekisho operator enable・token resume・quarantine --release で行えます"
        ),
        A::NightAccess => say!("look whether it was meant", "意図したアクセスか確認してください"),
        A::Alarm => say!("read the detail", "詳細を確認してください"),
    }
}

/// What an alert rule has seen, and what it does.
fn fired(rule: AlertRule, response: RuleResponse, subject: &str, count: u64) -> Said {
    let seen = match rule {
        AlertRule::UnusualPlace => say!(
            "a proof failed at an unusual place ({subject})",
            "普段と異なる場所で本人確認に失敗しました ({subject})"
        ),
        AlertRule::NotCompliant => say!(
            "the device of {subject} is not as its group asks",
            "{subject} の端末がグループのセキュリティ要件を満たしていません"
        ),
        AlertRule::MuchData => say!(
            "{subject} moved {count} octets within an hour",
            "{subject} の通信量が 1 時間で {count} バイトに達しました"
        ),
        AlertRule::Escalation => say!(
            "{subject} tried {count} times what is refused",
            "{subject} が拒否される操作・接続を {count} 回試みました"
        ),
        AlertRule::NightAccess => {
            say!("access at night by {subject}", "深夜に {subject} のアクセスがありました")
        }
    };
    let done = match (rule, response) {
        (AlertRule::UnusualPlace, RuleResponse::Act) => {
            say!("; the person's SIMs are suspended", "。利用者の SIM を一時停止します")
        }
        (AlertRule::NotCompliant, RuleResponse::Act) => say!("; it is in quarantine", "。SIM を隔離します"),
        (AlertRule::Escalation, RuleResponse::Act) => say!("; it is blocked", "。対象を遮断します"),
        _ => say!("", ""),
    };
    Said { en: seen.en + &done.en, ja: seen.ja + &done.ja }
}

/// What became of a foreign SMF's association.
fn smf(name: &str, state: SmfState) -> Said {
    match state {
        SmfState::Never => say!("SMF {name} has never been there", "SMF {name} はまだ接続していません"),
        SmfState::Up => say!("SMF {name} is associated", "SMF {name} とのアソシエーションを確立しました"),
        SmfState::Silent => say!(
            "SMF {name} does not answer: its sessions go on, it gets no new one",
            "SMF {name} が応答しません。既存のセッションは続きますが、新しいセッションは拒否します"
        ),
        SmfState::Restarted => say!(
            "SMF {name} started anew: its sessions have ended",
            "SMF {name} が再起動しました。そのセッションはすべて終了しました"
        ),
        SmfState::Released => say!(
            "SMF {name} released its association: its sessions have ended",
            "SMF {name} がアソシエーションを解放しました。そのセッションはすべて終了しました"
        ),
    }
}

/// Why a SIM does not get a foreign session.
fn foreign_refusal(why: ForeignRefusal) -> Said {
    match why {
        ForeignRefusal::UnknownSim => say!("the SIM is unknown", "SIM が登録されていません"),
        ForeignRefusal::NotLiving => {
            say!("the SIM is not ready or active", "SIM の状態が「準備済み」でも「有効」でもありません")
        }
        ForeignRefusal::NotAttached => {
            say!(
                "no MME of ours serves the SIM, or it has no such session at Gx",
                "この SIM が在圏する MME がないか、Gx に該当するセッションがありません"
            )
        }
        ForeignRefusal::WrongNetwork => {
            say!("the SIM may not have this data network", "この SIM に許されていないデータネットワークです")
        }
        ForeignRefusal::WrongAddress => {
            say!("the address is not the SIM's lease", "アドレスが SIM に割り当てたものではありません")
        }
        ForeignRefusal::NoAddress => say!("there is no address for it", "割り当てるアドレスがありません"),
        ForeignRefusal::Unavailable => {
            say!("it cannot be decided at present", "現在は判定できません")
        }
    }
}
