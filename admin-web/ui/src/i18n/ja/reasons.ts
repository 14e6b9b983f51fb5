// 判定の理由。

import type { Messages } from "..";

export const reasons: Messages["reasons"] = {
  rule: "ルールで許可されています",
  "no-rule": "許可するルールがありません",
  "rule-deny": "ルールで拒否されています",
  "rule-reject": "ルールで拒否応答しています",
  banned: "SIM が停止されています",
  "unknown-app": "このアドレスとポートのアプリはありません",
  "unknown-peer": "許可された基地局からの通信ではありません",
  "unknown-teid": "該当するトンネルのセッションがありません",
  "spoofed-source": "送信元アドレスがセッションのものと異なります",
  "own-address": "ゲートウェイ自身のアドレスです",
  "special-address": "特別なアドレスです",
  "malformed-gtpu": "トンネルパケットが不正です",
  "malformed-inner": "パケットが不正です",
  fragment: "先頭のないフラグメントです",
  "flow-table-full": "SIM のフロー数が上限に達しています",
  "no-flow": "開始されていないフローです",
  "unknown-ue": "このアドレスの端末はありません",
  "no-tunnel": "端末の無線接続がありません",
  "not-forwarded": "セッションで転送しない通信です",
  "ue-to-ue": "端末間の通信です (双方の許可が必要)",
  "too-big": "MTU を超えています",
  "unidentified-sim": "SIM を特定できないセッションです",
  "stale-policy": "ゲートウェイが最新の停止情報を待っています",
  quarantined: "SIM が隔離されています",
  "group-in-panic": "SIM のグループが非常停止中です",
  "rate-exceeded": "セッションの最大ビットレートを超えました",
  "wrong-peer": "端末を収容していない基地局から届きました",
  "out-of-hours": "許可していたルールの有効時間が終わりました",
  "not-tls": "TLS で始まっていません (サーバー名で制限されたアプリ)",
  "no-server-name": "TLS クライアントがサーバー名を送っていません",
  "other-server-name": "TLS クライアントのサーバー名がアプリの一覧にありません",
  "names-need-tls": "サーバー名で制限されたアプリには TCP 上の TLS だけが使えます",
  "inspect-full": "サーバー名を確認する余裕がありませんでした",
  "inspect-timeout": "時間内にサーバー名が届きませんでした",
  "not-inspected": "接続の始まりを確認していないか、確認した内容と異なります",
};

export const outcomes: Messages["outcomes"] = {
  matched: "このルールで決定",
  "other-subject": "別の SIM が対象",
  "other-direction": "方向が異なる",
  "other-app": "別のアプリが対象",
  "other-service": "別のサービスが対象",
  "other-time": "その時刻には有効でない",
};

export const bindings: Messages["bindings"] = {
  none: "どの端末でも可 (記録しない)",
  observe: "どの端末でも可 (変化を記録)",
  learn: "最初に使われた端末に固定",
  model: "指定した機種のみ",
  listed: "ホワイトリストの端末のみ",
  exact: "指定した端末のみ",
};
