// Words of the screens that watch and of those about SIMs.

export const overview = {
  sims: "SIMs by state",
  total: "in all",
  sessions: "live sessions",
  ues: "devices registered",
  radios: "radios connected",
  revoked: "SIMs cut off",
  alerts: "open alerts",
  problems: "Open problems",
  noProblems: "No open problem.",
  news: "Security events",
  noNews: "None since this page was opened. Older ones are in the alerts.",
  lost: (n: number) => `${n} events were missed and cannot be had any more.`,
  allAlerts: "All alerts",
  system: "System",
  ready: "Ready",
  notReady: "Not ready",
  sessionsOverTime: "Live sessions since this page was opened",
  start: "Put the first SIMs in",
  startHelp: "There is no SIM yet. Import a file, and this page comes alive.",
};

export const sims = {
  empty: "No SIM matches.",
  bulk: "Change many",
  bulkTitle: "Change many SIMs",
  bulkWhat: "What",
  suspend: "Suspend",
  resume: "Resume",
  retire: "Retire",
  addGroups: "Add to groups",
  removeGroups: "Take out of groups",
  everything: "All that the filter finds",
  chosenOnly: (n: number) => `The ${n} chosen`,
  setSite: "Set site",
  typeCount: (n: number) => `Type ${n} to confirm how many SIMs change`,
  result: (ok: number, bad: number) => `${ok} changed, ${bad} not`,
  changedRow: "changed",
  counted: (n: number) => `${n} SIMs would be changed.`,
  progress: (done: number, of: number) => `${done} of ${of}`,
  hasKey: "has a key",
  noKey: "no key",
};

export const sim = {
  identity: "Identity",
  sessions: "Sessions and addresses",
  noSessions: "No live session.",
  devices: "Devices",
  binding: "Binding",
  learned: "Learned",
  rules: "Rules that apply",
  rulesHelp: "For each app: what would happen now if this SIM opened it, and which rule says so.",
  timeline: "What happened",
  noTimeline: "Nothing yet.",
  planned: "Planned changes",
  noPlanned: "Nothing is planned.",
  edit: "Edit",
  suspend: "Suspend",
  resume: "Resume",
  retire: "Retire",
  retireWhat: "Its key is destroyed. The SIM can never be used again.",
  retireType: (digits: string) => `Type the last four digits of the IMSI: ${digits}`,
  suspendWhat: "Its sessions end, and it is refused until it is resumed.",
  unban: "Take the ban back",
  unbanWhat: "The SIM may come back as soon as its device tries again.",
  asked: "Asked for; a second person must agree.",
  quarantine: "Quarantine",
  quarantineWhat: "It reaches only the apps that its groups name for quarantine.",
  release: "Release from quarantine",
  lost: "Lost or stolen",
  older: "Older",
  why: "Ask why",
  flows: "Its flows",
};

export const lost = {
  help: "Owner, label, number, IMSI, ICCID, IMEI or site: whatever you know.",
  field: "Who or what is lost?",
  matches: "Matches",
  nothing: "Nothing matches. Try a part of the name, or the number on the card.",
  noRight: "You have no right to ban. Call somebody who has: the SOC or an owner.",
  reason: (what: string) => `Reported lost: ${what}`,
  wouldEnd: (sims: number, sessions: number) =>
    `${sims === 1 ? "1 SIM" : `${sims} SIMs`} will be cut, ${sessions === 1 ? "1 live session" : `${sessions} live sessions`} will end.`,
  noSession: "no live session",
  andMore: (n: number) => `and ${n} more`,
  already: (n: number) => `${n} of them ${n === 1 ? "is" : "are"} cut already.`,
  cut: "Cut now",
  other: "Something else",
  isCut: (sims: string, ms: string) => `Cut: ${sims} SIMs, in ${ms} ms`,
  all: "This ban with all its receipts",
  enforced: (n: number, of: number, ms: string) => `Enforced by ${n} of ${of} packet threads after ${ms} ms`,
  session: (dnn: string) => `Session to ${dnn} released:`,
  deregistration: "Device sent away",
  lastPacket: "Last packet",
  dropped: (n: number) => `${n} dropped since`,
  attempts: (sure: number, claimed: number) => `Tried to come back: ${sure} times authenticated, ${claimed} times only claimed`,
  stored: (place: string) => `Stored: ${place}`,
  signed: (version: number, by: string) => `Receipt version ${version}, signed by key ${by}…`,
  download: "Save the receipts",
  scopes: { sim: "SIM", person: "person", device: "device", imei: "IMEI", group: "group", site: "site" },
};

export const lists = {
  idHelp: "a-z, 0-9 and inner - _ .",
  ownerHelp: "ID of a person",
  cellsHelp: "NR cell identities, hexadecimal",
  prefixHelp: "such as 10.10.0.10/32; several with a comma",
  serviceHelp: "tcp/443, udp/5000-5010, icmp",
  poolHelp: "such as 10.60.0.0/16",
  orderHelp: "The lower is read first.",
  subjectHelp: "any, group:NAME or sim:IMSI",
  toHelp: "Only for rules towards the UE: tcp/502",
  itsSims: "Its SIMs",
  people: "No person yet.",
  devices: "No device yet.",
  sites: "No site yet.",
  groups: "No group yet.",
  apps: "No app yet. An app says where something is and what it offers.",
  rules: "No rule yet: everything is denied.",
  networks: "No data network yet.",
};

export const groups = {
  panic: "Panic",
  calm: "End the panic",
  panicWhat: "All SIMs of the group reach only the apps that it names for panic, from this moment.",
  calmWhat: "The rules alone count again.",
};

export const why = {
  help: "Give a SIM, an app or an address, and a service: what would happen now, and why.",
  orAddress: "or address",
  service: "Service (tcp/443)",
  generation: "Policy generation",
  chain: "Rules in the order in which they are read",
  outcome: "Here",
};

export const sessions = {
  empty: "Nobody is connected.",
  connected: "connected",
  idle: "idle",
  cut: "cut off",
  end: "End the session",
  endSure: (imsi: string) => `End the session of ${imsi}? Its device may come back at once; to keep it out, suspend or ban the SIM.`,
  ended: "The session is ended",
  gone: "This session has ended.",
};

export const flows = {
  empty: "No flow matches.",
  gone: "This flow is not in the list that is loaded.",
  makeRule: "Make a rule from this",
  makeApp: "Make an app from this",
};

export const imports = {
  drop: "Drop a file here: CSV, TSV or JSON. Nothing is written before you have seen what it would do.",
  choose: "Choose a file",
  jobs: "Imports",
  empty: "Nothing was imported yet.",
  mode: "How",
  modes: { "dry-run": "dry run", "all-or-nothing": "all or nothing", "valid-rows": "right lines only" },
  rows: "Lines",
  new: "new",
  changed: "changed",
  same: "same",
  errors: "wrong",
  would: (fresh: number, changed: number, same: number, wrong: number) =>
    `Dry run: ${fresh} new, ${changed} changed, ${same} same, ${wrong} wrong. Nothing was written.`,
  replaceKeys: "Replace keys that differ",
  apply: (n: number) => `Import ${n} lines`,
  applyValid: (n: number) => `Import the ${n} right lines`,
  dryAgain: "Dry run again",
  undo: "Take it back",
  undoSure: (id: number) => `Take import ${id} back? New SIMs that nobody used go, and what nobody changed since is put back.`,
  undoing: "It is being taken back",
  wrongLines: "Wrong lines",
  diff: "What it does",
  kept: "What was left as it is",
  line: "Line",
  column: "Column",
  what: "What",
  fix: "What would be right",
};

export const alerts = {
  empty: "No alert matches.",
  advice: "What to do",
  acknowledge: "I look at it",
  close: "Close the alert",
};

export const revocations = {
  empty: "Nothing was taken away from anybody.",
  requests: "Unbans that wait for a second person",
  asks: (who: string, why: string) => `${who} asks: ${why}`,
  approve: "Agree",
  refuse: "Refuse",
};

export const audit = {
  empty: "No row matches.",
  verified: "Chain verified",
  unread: "Not read yet",
  readBroken: (seq: number) => `Row ${seq} does not fit`,
  verifiedHelp: "Read as a whole at the start and every day, and as it grows; sekisho audit verify proves it elsewhere.",
  broken: "Chain broken",
};

export const operators = {
  empty: "No operator yet.",
  display: "Full name",
  disabled: "disabled",
  disable: "Disable",
  enable: "Enable",
  newPassword: "New password",
  dropFactor: "Remove the second factor",
  onlyGroups: "Only for these groups",
  onlySites: "Only at these sites",
  rolesTitle: "What each role may do",
  once: "Shown once and kept nowhere: hand it over now",
  several: "This operator has several grants; change them by sekisho operator change.",
  more: "Account",
};

export const tokens = {
  empty: "No token.",
  active: "active",
  revoked: "revoked",
  expired: "expired",
  revoke: "Revoke",
  revokeSure: (what: string) => `Revoke ${what}? Whatever uses it stops at once.`,
  isRevoked: "The token is revoked",
  addressHelp: "such as 10.1.0.0/16; empty: from anywhere",
};

export const radios = {
  transport: "N2 transport",
  generation: "Policy in force / stored",
  gateway: "Gateway",
  radios: "Radios",
  none: "No radio is connected.",
  cells: "Cells with live sessions",
  some: "Counted from the first 1000 sessions.",
  deliveries: "Audit and alerts are sent to",
  noDeliveries: "Nowhere: no [[delivery]] is configured.",
};

export const health = {
  version: "Version",
  started: "Started",
  database: "Database",
  journal: "Records in the journal of bans",
  findings: "What sekisho doctor finds",
  counts: (bad: number, note: number, good: number) => `${bad} to mend, ${note} to know, ${good} as they should be`,
  states: { good: "good", note: "note", bad: "to mend" },
};

export const ledger = {
  empty: "Nobody had such an address.",
  at: "At this moment",
  now: "now",
};

export const path = {
  help: "Give the IMSI of a SIM: every hop from the UE to the app, with its last evidence.",
  show: "Show",
  table: "The same as a table",
  hop: "Hop",
  evidence: "Last evidence",
  states: { good: "works", note: "no evidence", bad: "broken" },
  radio: "Cell",
  core: "Core",
  gateway: "Gateway",
  rule: "Rule",
  app: "App",
  connected: (tai: string) => `radio connection in ${tai}`,
  idle: "registered, no radio connection at the moment",
  radioSince: (name: string, since: string) => `${name} connected since ${since}`,
  radios: (n: number) => (n === 1 ? "1 radio connected" : `${n} radios connected`),
  generation: (n: number) => `policy ${n}`,
  noApp: "no app to ask about",
  lastFlow: "last flow",
  noFlow: "no flow recorded",
};

export const account = {
  signIns: "Where I am signed in",
  here: "here",
  end: "End",
  endSure: "End this sign-in? Whoever uses it must sign in again.",
  password: "Change my password",
  by: (provider: string, name: string, subject: string) => `Signed in by ${provider} as ${name} (${subject}). Password and second factor are there.`,
  local: "name and password",
  passkeys: "Passkeys",
  passkeyHelp: "A passkey lets you in by this device's own check (fingerprint, face, PIN), instead of password and code.",
  passkeyName: "Name of the device",
  ownPassword: "My password",
  addPasskey: "Add a passkey",
  removePasskey: "Remove",
  removeSure: "Remove this passkey? It lets nobody in any more.",
  noPasskeys: "There are no passkeys here: the configuration names no host name (api.host), or this build has none.",
  elsewhere: (host: string) => `Passkeys are bound to the name ${host}. This console was reached by another name or by an IP address; open it at ${host} to add one.`,
  noMaker: "This browser cannot make passkeys.",
  notMade: "The device made no passkey.",
};
