//! Fields of a body, one by one: everything that is wrong is named at once, each with its fix.

use crate::problem::{FieldError, Problem, Said, say};
use std::{fmt::Display, str::FromStr};

/// What a field should hold; its text is the fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Imsi,
    Iccid,
    Dnn,
    Name,
    Slice,
    State,
    Ipv4,
    Ip,
    Prefix,
    Service,
    ServerName,
    Subject,
    Recording,
    Hours,
    Time,
    Scope,
    Role,
    Imei,
    JobState,
    ScheduleState,
    Schedule,
    SimOrder,
    PostureCheck,
    Os,
    OsVersion,
    WhenSilent,
    Source,
    Word,
}

impl Kind {
    fn rule(self) -> Said {
        match self {
            Self::Imsi => say!(
                "give 6 to 15 digits: MCC, MNC, MSIN",
                "MCC・MNC・MSIN からなる 6〜15 桁の数字を指定してください"
            ),
            Self::Iccid => say!(
                "give the 18 to 20 digits printed on the card, with their check digit",
                "カードに印字された 18〜20 桁の数字を検査数字まで含めて指定してください"
            ),
            Self::Dnn => say!(
                "give a data network name like corp or factory.example",
                "corp や factory.example のようなデータネットワーク名を指定してください"
            ),
            Self::Name => say!(
                "give 1 to 63 of a-z, 0-9 and inner - _ . that begin and end with a letter or digit",
                "英小文字・数字と途中の - _ . からなる 1〜63 文字 (先頭と末尾は英数字) を指定してください"
            ),
            Self::Slice => say!(
                "give SST or SST-SD, for example 1 or 1-0000ff",
                "SST または SST-SD (例: 1、1-0000ff) を指定してください"
            ),
            Self::State => say!(
                "give one of stock, ready, active, suspended, lost, stolen, retired",
                "stock, ready, active, suspended, lost, stolen, retired のいずれかを指定してください"
            ),
            Self::Ipv4 => say!(
                "give an IPv4 address like 10.20.3.4",
                "10.20.3.4 のような IPv4 アドレスを指定してください"
            ),
            Self::Ip => say!("give an IP address", "IP アドレスを指定してください"),
            Self::Prefix => say!(
                "give a prefix like 10.10.1.0/24",
                "10.10.1.0/24 のようなプレフィックスを指定してください"
            ),
            Self::Service => say!(
                "give tcp, udp or icmp, with /port or /first-last behind tcp and udp, for example tcp/443",
                "tcp, udp, icmp のいずれか。tcp と udp には /ポート や /先頭-末尾 を付けられます (例: tcp/443)"
            ),
            Self::ServerName => say!(
                "give a server name in lower case like wiki.example.jp, or *.example.jp for all below; other scripts as A-labels (xn--…)",
                "wiki.example.jp のような小文字のサーバー名、または配下すべてを表す *.example.jp を指定してください。日本語ドメインは xn-- で始まる形で書きます"
            ),
            Self::Subject => say!(
                "give any, group:NAME or sim:IMSI",
                "any、group:名前、sim:IMSI のいずれかを指定してください"
            ),
            Self::Recording => say!(
                "give all, counters, or 1/N such as 1/100",
                "all、counters、または 1/100 のような 1/N を指定してください"
            ),
            Self::Hours => say!(
                "give days, times and an IANA time zone, such as mon-fri 08:00-18:00 Asia/Tokyo",
                "曜日、時刻、IANA タイムゾーンを mon-fri 08:00-18:00 Asia/Tokyo のように指定してください"
            ),
            Self::Time => say!(
                "give a time like 2027-01-31T09:00:00Z",
                "2027-01-31T09:00:00Z のような時刻を指定してください"
            ),
            Self::Scope => {
                let all: Vec<&str> = crate::Scope::ALL.iter().map(|s| s.as_str()).collect();
                let all = all.join(", ");
                say!("give scopes of this list: {all}", "次のスコープから選んでください: {all}")
            }
            Self::Role => {
                let all: Vec<&str> = crate::Role::all().map(crate::Role::as_str).collect();
                let all = all.join(", ");
                say!("give roles of this list: {all}", "次のロールから選んでください: {all}")
            }
            Self::Imei => say!(
                "give the 15 digits of the IMEI with its check digit, or the 16 of the IMEISV",
                "検査数字を含む IMEI 15 桁、または IMEISV 16 桁を指定してください"
            ),
            Self::JobState => say!(
                "give one of queued, running, done, failed, undone",
                "queued, running, done, failed, undone のいずれかを指定してください"
            ),
            Self::ScheduleState => say!(
                "give one of waiting, done, dropped, cancelled",
                "waiting, done, dropped, cancelled のいずれかを指定してください"
            ),
            Self::Schedule => {
                say!("give planned or end-date", "planned か end-date を指定してください")
            }
            Self::SimOrder => say!(
                "give one of imsi, label, iccid, state, changed, last_seen, with - before it for the other way round",
                "imsi, label, iccid, state, changed, last_seen のいずれか。逆順は先頭に - を付けて指定してください"
            ),
            Self::PostureCheck => {
                let all: Vec<&str> = types::PostureCheck::ALL.iter().map(|c| c.as_str()).collect();
                let all = all.join(", ");
                say!("give checks of this list: {all}", "次の項目から選んでください: {all}")
            }
            Self::Os => {
                let all: Vec<&str> = types::OsName::ALL.iter().map(|c| c.as_str()).collect();
                let all = all.join(", ");
                say!("give one of {all}", "{all} のいずれかを指定してください")
            }
            Self::OsVersion => say!(
                "give one to six numbers joined by dots, such as 10.0.22631",
                "10.0.22631 のように、数字をピリオドでつないで (6 個まで) 指定してください"
            ),
            Self::WhenSilent => say!(
                "give one of closed, remediation, static",
                "closed, remediation, static のいずれかを指定してください"
            ),
            Self::Source => {
                say!("give webhook, ssf or scim", "webhook、ssf、scim のいずれかを指定してください")
            }
            Self::Word => say!(
                "see the API's description for the words that are allowed",
                "使える語は API の説明を参照してください"
            ),
        }
    }
}

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Check(Vec<FieldError>);

impl Check {
    /// Adds a finding.
    pub(crate) fn add(&mut self, pointer: impl Into<String>, detail: Said, fix: Option<Said>) {
        self.0.push(FieldError { pointer: pointer.into(), detail, fix });
    }

    /// Parses a field; `None` (and a finding) where it is wrong.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        &mut self,
        pointer: &str,
        text: &str,
        kind: Kind,
    ) -> Option<T> {
        match text.parse() {
            Ok(v) => Some(v),
            Err(e) => {
                let rule = kind.rule();
                let e: T::Err = e;
                self.add(
                    pointer,
                    Said { en: e.to_string(), ja: "値が正しくありません".to_owned() },
                    Some(rule),
                );
                None
            }
        }
    }

    /// Parses a field that may be absent.
    pub(crate) fn maybe<T: FromStr<Err: Display>>(
        &mut self,
        pointer: &str,
        text: Option<&str>,
        kind: Kind,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(t) => self.parse(pointer, t, kind).map(Some),
        }
    }

    /// Parses each item of a list.
    pub(crate) fn each<T: FromStr<Err: Display>, C: FromIterator<T>>(
        &mut self,
        pointer: &str,
        texts: &[String],
        kind: Kind,
    ) -> Option<C> {
        let all: Vec<Option<T>> =
            texts.iter().enumerate().map(|(i, t)| self.parse(&format!("{pointer}/{i}"), t, kind)).collect();
        all.into_iter().collect()
    }

    /// A text for people: at most `most` characters, none of them a control character.
    pub(crate) fn label(&mut self, pointer: &str, text: &str, most: usize) {
        if text.chars().count() > most {
            self.add(
                pointer,
                say!("it is longer than {most} characters", "{most} 文字を超えています"),
                Some(say!("shorten it", "短くしてください")),
            );
        }
        if text.chars().any(char::is_control) {
            self.add(
                pointer,
                say!("it holds a control character", "制御文字が含まれています"),
                Some(say!("write it on one line of plain text", "改行などを含まない文字列にしてください")),
            );
        }
    }

    /// A text for people that is not empty.
    pub(crate) fn filled(&mut self, pointer: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.add(
                pointer,
                say!("it is empty", "空です"),
                Some(say!(
                    "write something, or leave the field out where it may be",
                    "入力するか、省略できる項目は省略してください"
                )),
            );
        }
        self.label(pointer, text, most);
    }

    /// A reason: as [`Self::label`], and not empty.
    pub(crate) fn reason(&mut self, text: &str) {
        if text.trim().is_empty() {
            self.add(
                "/reason",
                say!("a reason is needed", "理由が必要です"),
                Some(say!(
                    "say in a few words why: it goes into the audit",
                    "監査記録に残る理由を簡潔に書いてください"
                )),
            );
        }
        self.label("/reason", text, 500);
    }

    /// A ticket's number: as [`Self::label`], of at most 100 characters.
    pub(crate) fn ticket(&mut self, text: Option<&str>) {
        self.label("/ticket", text.unwrap_or_default(), 100);
    }

    /// The problem, if there is one.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }

    /// The value, where nothing was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(v) if self.0.is_empty() => Ok(v),
            _ => Err(Problem::invalid(self.0)),
        }
    }
}

/// A full-width letter, digit or sign as its ASCII form, an ideographic space as a space, anything else as it is.
pub(crate) fn half(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        // What input methods and word processors make of a hyphen between digits.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff70}' => '-',
        c => c,
    }
}

/// True for what people put between digits that means nothing.
pub(crate) fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{200b}' | '\u{feff}')
}

/// A time in RFC 3339, in UTC.
pub(crate) fn rfc3339(t: types::Utc) -> String {
    jiff::Timestamp::from_millisecond(t.0).map_or_else(|_| t.0.to_string(), |t| t.to_string())
}

/// A time from RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) types::Utc);

impl FromStr for Time {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let t: jiff::Timestamp = s.parse().map_err(|_| "not a time of RFC 3339 with its offset from UTC")?;
        Ok(Self(types::Utc(t.as_millisecond())))
    }
}
