// 各画面の言葉。

import type { Messages } from "..";

export const overview: Messages["overview"] = {
  sims: "状態別の SIM 数",
  total: "合計",
  sessions: "接続中のセッション",
  ues: "在圏中の端末",
  radios: "接続中の基地局",
  revoked: "通信を停止した SIM",
  alerts: "未対応のアラート",
  problems: "未解決の問題",
  noProblems: "未解決の問題はありません。",
  news: "セキュリティイベント",
  noNews: "このページを開いてからはありません。以前のものはアラートで確認できます。",
  lost: (n) => `${n} 件のイベントを受信できず、取得できませんでした。`,
  allAlerts: "すべてのアラート",
  system: "システム",
  ready: "稼働中",
  notReady: "準備中",
  sessionsOverTime: "このページを開いてからのセッション数",
  start: "最初の SIM を登録",
  startHelp: "SIM がまだありません。ファイルを取り込むと、この画面に状況が表示されます。",
};

export const sims: Messages["sims"] = {
  empty: "該当する SIM はありません。",
  bulk: "一括変更",
  bulkTitle: "SIM の一括変更",
  bulkWhat: "変更内容",
  suspend: "一時停止",
  resume: "再開",
  retire: "廃止",
  addGroups: "グループに追加",
  removeGroups: "グループから外す",
  everything: "絞り込みに一致するすべて",
  chosenOnly: (n) => `選択した ${n} 件`,
  setSite: "拠点を設定",
  typeCount: (n) => `確認のため、変更する件数 ${n} を入力してください`,
  result: (ok, bad) => `${ok} 件を変更、${bad} 件は失敗`,
  changedRow: "変更しました",
  counted: (n) => `${n} 件の SIM を変更します。`,
  progress: (done, of) => `${done} / ${of} 件`,
  hasKey: "鍵あり",
  noKey: "鍵なし",
};

export const sim: Messages["sim"] = {
  identity: "識別情報",
  sessions: "セッションとアドレス",
  noSessions: "接続中のセッションはありません。",
  devices: "端末",
  binding: "端末の固定",
  learned: "記憶した端末",
  rules: "適用されるルール",
  rulesHelp: "この SIM が各アプリへ今接続した場合の判定と、その根拠のルールです。",
  timeline: "履歴",
  noTimeline: "まだありません。",
  planned: "予約された変更",
  noPlanned: "予約はありません。",
  edit: "編集",
  suspend: "一時停止",
  resume: "再開",
  retire: "廃止",
  retireWhat: "鍵を破棄します。この SIM は二度と使えません。",
  retireType: (digits) => `IMSI の下 4 桁 ${digits} を入力してください`,
  suspendWhat: "セッションを終了し、再開するまで接続を拒否します。",
  unban: "停止を解除",
  unbanWhat: "端末が次に接続を試みた時点から使えるようになります。",
  asked: "申請しました。二人目の承認が必要です。",
  quarantine: "隔離",
  quarantineWhat: "所属グループが隔離用に指定したアプリだけを使えるようにします。",
  release: "隔離を解除",
  lost: "紛失・盗難",
  older: "さらに表示",
  why: "判定の理由",
  flows: "この SIM のフロー",
};

export const lost: Messages["lost"] = {
  help: "所有者・ラベル・番号・IMSI・ICCID・IMEI・拠点のうち、わかるものを入力してください。",
  field: "紛失・盗難にあったもの",
  matches: "候補",
  nothing: "該当するものがありません。名前の一部やカードの番号でお試しください。",
  noRight: "停止の権限がありません。SOC または所有者 (owner) に連絡してください。",
  reason: (what) => `紛失の届け出: ${what}`,
  wouldEnd: (sims, sessions) => `SIM ${sims} 件を停止し、接続中のセッション ${sessions} 件を終了します。`,
  noSession: "接続なし",
  andMore: (n) => `ほか ${n} 件`,
  already: (n) => `うち ${n} 件は停止済みです。`,
  cut: "今すぐ停止",
  other: "別のものを選ぶ",
  isCut: (sims, ms) => `停止しました: SIM ${sims} 件、${ms} ミリ秒`,
  all: "この停止とすべての受領証",
  enforced: (n, of, ms) => `${ms} ミリ秒後にパケットスレッド ${of} 本中 ${n} 本で適用`,
  session: (dnn) => `${dnn} のセッションを解放:`,
  deregistration: "端末の登録解除",
  lastPacket: "最後のパケット",
  dropped: (n) => `以後 ${n} 個を破棄`,
  attempts: (sure, claimed) => `再接続の試み: 認証済み ${sure} 回、自己申告のみ ${claimed} 回`,
  stored: (place) => `保存先: ${place}`,
  signed: (version, by) => `受領証 第 ${version} 版、署名鍵 ${by}…`,
  download: "受領証を保存",
  scopes: { sim: "SIM", person: "人", device: "端末", imei: "IMEI", group: "グループ", site: "拠点" },
};

export const lists: Messages["lists"] = {
  idHelp: "a-z、0-9 と、途中の - _ .",
  ownerHelp: "人の ID",
  cellsHelp: "NR セル ID (16 進)",
  prefixHelp: "例: 10.10.0.10/32。複数はカンマ区切り",
  serviceHelp: "tcp/443、udp/5000-5010、icmp",
  poolHelp: "例: 10.60.0.0/16",
  orderHelp: "小さいものから順に評価します。",
  subjectHelp: "any、group:名前、sim:IMSI",
  toHelp: "端末へのルールのみ: tcp/502",
  itsSims: "関連する SIM",
  people: "人はまだ登録されていません。",
  devices: "端末はまだ登録されていません。",
  sites: "拠点はまだ登録されていません。",
  groups: "グループはまだありません。",
  apps: "アプリはまだありません。アプリは、場所 (アドレス) と提供サービスを表します。",
  rules: "ルールはまだありません。すべて拒否されます。",
  networks: "データネットワークはまだありません。",
};

export const groups: Messages["groups"] = {
  panic: "非常停止",
  calm: "非常停止を解除",
  panicWhat: "このグループのすべての SIM は、今この時点から非常時用のアプリだけを使えます。",
  calmWhat: "通常のルールに戻ります。",
};

export const why: Messages["why"] = {
  help: "SIM、アプリまたはアドレス、サービスを指定すると、今の判定とその理由を表示します。",
  orAddress: "またはアドレス",
  service: "サービス (tcp/443)",
  generation: "ポリシー世代",
  chain: "評価する順に並べたルール",
  outcome: "ここでの扱い",
};

export const sessions: Messages["sessions"] = {
  empty: "接続中の端末はありません。",
  connected: "接続中",
  idle: "待機中",
  cut: "停止",
  end: "セッションを終了",
  endSure: (imsi) => `${imsi} のセッションを終了しますか? 端末はすぐに再接続できます。接続させない場合は SIM を一時停止または停止してください。`,
  ended: "セッションを終了しました",
  gone: "このセッションは終了しました。",
};

export const flows: Messages["flows"] = {
  empty: "該当するフローはありません。",
  gone: "読み込み済みの一覧にありません。",
  makeRule: "ここからルールを作成",
  makeApp: "ここからアプリを作成",
};

export const imports: Messages["imports"] = {
  drop: "CSV・TSV・JSON のファイルをここにドロップしてください。結果を確認するまで何も書き込みません。",
  choose: "ファイルを選択",
  jobs: "取り込み履歴",
  empty: "取り込みはまだありません。",
  mode: "方式",
  modes: { "dry-run": "確認のみ", "all-or-nothing": "全件または中止", "valid-rows": "正しい行のみ" },
  rows: "行数",
  new: "新規",
  changed: "変更",
  same: "変更なし",
  errors: "誤り",
  would: (fresh, changed, same, wrong) => `確認結果: 新規 ${fresh}、変更 ${changed}、変更なし ${same}、誤り ${wrong}。まだ書き込んでいません。`,
  replaceKeys: "異なる鍵を置き換える",
  apply: (n) => `${n} 行を取り込む`,
  applyValid: (n) => `正しい ${n} 行だけ取り込む`,
  dryAgain: "もう一度確認",
  undo: "取り消す",
  undoSure: (id) => `取り込み ${id} を取り消しますか? 未使用の新しい SIM を削除し、その後変更されていない項目を元に戻します。`,
  undoing: "取り消しています",
  wrongLines: "誤りのある行",
  diff: "変更内容",
  kept: "そのまま残したもの",
  line: "行",
  column: "列",
  what: "内容",
  fix: "正しい形",
};

export const alerts: Messages["alerts"] = {
  empty: "該当するアラートはありません。",
  advice: "対処",
  acknowledge: "対応を開始",
  close: "アラートを完了",
};

export const revocations: Messages["revocations"] = {
  empty: "停止や制限の記録はありません。",
  requests: "二人目の承認を待つ停止解除",
  asks: (who, why) => `${who} の申請: ${why}`,
  approve: "承認",
  refuse: "却下",
};

export const audit: Messages["audit"] = {
  empty: "該当する記録はありません。",
  verified: "連鎖を検証済み",
  unread: "未検証",
  readBroken: (seq: number) => `${seq} 行目が連鎖に合いません`,
  verifiedHelp: "起動時と毎日全体を、追加分はその都度検証しています。他の場所では sekisho audit verify で確認できます。",
  broken: "連鎖が壊れています",
};

export const operators: Messages["operators"] = {
  empty: "オペレーターはまだいません。",
  display: "氏名",
  disabled: "無効",
  disable: "無効にする",
  enable: "有効にする",
  newPassword: "パスワードを再発行",
  dropFactor: "二要素認証を解除",
  onlyGroups: "対象グループを限定",
  onlySites: "対象拠点を限定",
  rolesTitle: "役割ごとの権限",
  once: "今だけ表示し、どこにも保存しません。すぐに本人へ渡してください",
  several: "複数の権限付与があるため、sekisho operator change で変更してください。",
  more: "アカウント",
};

export const tokens: Messages["tokens"] = {
  empty: "トークンはありません。",
  active: "有効",
  revoked: "失効",
  expired: "期限切れ",
  revoke: "失効させる",
  revokeSure: (what) => `${what} を失効させますか? 使用中のものは直ちに使えなくなります。`,
  isRevoked: "トークンを失効させました",
  addressHelp: "例: 10.1.0.0/16。空欄は制限なし",
};

export const radios: Messages["radios"] = {
  transport: "N2 の伝送方式",
  generation: "ポリシー世代 (適用中 / 保存済み)",
  gateway: "ゲートウェイ",
  radios: "基地局",
  none: "接続中の基地局はありません。",
  cells: "セッションのあるセル",
  some: "最初の 1000 セッションから集計しています。",
  deliveries: "監査記録とアラートの配信先",
  noDeliveries: "配信先 ([[delivery]]) は設定されていません。",
};

export const health: Messages["health"] = {
  version: "バージョン",
  started: "起動",
  database: "データベース",
  journal: "停止ジャーナルの件数",
  findings: "sekisho doctor の診断",
  counts: (bad, note, good) => `要対処 ${bad} 件、注意 ${note} 件、正常 ${good} 件`,
  states: { good: "正常", note: "注意", bad: "要対処" },
};

export const ledger: Messages["ledger"] = {
  empty: "該当するアドレスの利用はありません。",
  at: "時点",
  now: "現在",
};

export const path: Messages["path"] = {
  help: "SIM の IMSI を指定すると、端末からアプリまでの各区間を最新の根拠とともに表示します。",
  show: "表示",
  table: "表による表示",
  hop: "区間",
  evidence: "最新の根拠",
  states: { good: "正常", note: "根拠なし", bad: "不通" },
  radio: "セル",
  core: "コア",
  gateway: "ゲートウェイ",
  rule: "ルール",
  app: "アプリ",
  connected: (tai) => `${tai} で無線接続中`,
  idle: "登録済み (現在、無線接続なし)",
  radioSince: (name, since) => `${name} は ${since} から接続中`,
  radios: (n) => `基地局 ${n} 局が接続中`,
  generation: (n) => `ポリシー世代 ${n}`,
  noApp: "判定するアプリがありません",
  lastFlow: "最後のフロー",
  noFlow: "フローの記録はありません",
};

export const account: Messages["account"] = {
  signIns: "サインイン中の場所",
  here: "この画面",
  end: "終了",
  endSure: "このサインインを終了しますか? 利用中の人は再度サインインが必要になります。",
  password: "パスワードを変更",
  by: (provider, name, subject) => `${provider} で ${name} (${subject}) としてサインインしています。パスワードと二要素認証は ${provider} 側で管理されます。`,
  local: "名前とパスワード",
  passkeys: "パスキー",
  passkeyHelp: "パスキーを登録すると、この端末の本人確認 (指紋・顔・PIN) だけで、パスワードと認証コードなしにサインインできます。",
  passkeyName: "端末の名前",
  ownPassword: "自分のパスワード",
  addPasskey: "パスキーを追加",
  removePasskey: "削除",
  removeSure: "このパスキーを削除しますか? 以後このパスキーではサインインできません。",
  noPasskeys: "パスキーは使用できません。設定にホスト名 (api.host) がないか、このビルドには含まれていません。",
  elsewhere: (host) => `パスキーはホスト名 ${host} に紐付いています。現在は別の名前または IP アドレスで開かれているため、追加するには ${host} で開いてください。`,
  noMaker: "このブラウザーはパスキーの作成に対応していません。",
  notMade: "端末でパスキーが作成されませんでした。",
};
