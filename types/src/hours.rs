//! When a rule is in force: hours of the week in a time zone, and until when.

use crate::Utc;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Hours of the week. Text form `mon-fri 08:00-18:00 Asia/Tokyo`: days (`daily`, or a list of days and of ranges), from
/// and up to when, an IANA time zone. Where it ends before it begins it goes on into the next day: `sat 22:00-06:00 …`
/// ends on Sunday.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hours {
    /// One bit each, Monday first: the days on which it begins.
    days: u8,
    /// Minutes behind midnight; the first is below 1 440, and they differ.
    from: u16,
    to: u16,
    zone: Box<str>,
}

impl Hours {
    /// Its time zone, as IANA names it. Whether there is one of this name is not checked here.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// From when, minutes behind midnight.
    pub fn from(&self) -> u16 {
        self.from
    }

    /// Up to when, minutes behind midnight; 1 440 for the end of the day.
    pub fn to(&self) -> u16 {
        self.to
    }

    /// True at this minute of a day of the week (0 is Monday), by the clocks of its zone.
    pub fn hold(&self, day: u8, minute: u16) -> bool {
        let on = |day: u8| self.days >> (day % 7) & 1 != 0;
        if self.from < self.to {
            on(day) && (self.from..self.to).contains(&minute)
        } else {
            on(day) && minute >= self.from || on(day + 6) && minute < self.to
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        write!(f, "{} {}-{} {}", say_days(self.days), clock(self.from), clock(self.to), self.zone)
    }
}

impl FromStr for Hours {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "hours are days, times and a zone, such as mon-fri 08:00-18:00 Asia/Tokyo";
        let parts: Vec<&str> = s.split_whitespace().collect();
        let &[days, times, zone] = parts.as_slice() else { return Err(WHAT) };
        let (from, to) = times.split_once('-').ok_or(WHAT)?;
        let (from, to) = (minute(from).ok_or(WHAT)?, minute(to).ok_or(WHAT)?);
        if from == to || from == DAY {
            return Err("hours begin before midnight and end at another time; a whole day is 00:00-24:00");
        }
        let of_zone = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
        if zone.len() > 64 || !zone.chars().all(of_zone) {
            return Err(WHAT);
        }
        Ok(Self { days: read_days(days).ok_or(WHAT)?, from, to, zone: zone.into() })
    }
}
crate::digits::serde_as_text!(Hours);

/// Days that follow one another as a range, where they are three or more.
fn say_days(days: u8) -> String {
    if days == 0x7f {
        return "daily".to_owned();
    }
    let all: Vec<usize> = (0..DAYS.len()).filter(|n| days >> n & 1 != 0).collect();
    let name = |n: usize| DAYS.get(n).copied().unwrap_or_default();
    let runs = all.chunk_by(|a, b| a + 1 == *b).flat_map(|run| match *run {
        [first, _, .., last] => vec![format!("{}-{}", name(first), name(last))],
        _ => run.iter().map(|n| name(*n).to_owned()).collect(),
    });
    runs.collect::<Vec<_>>().join(",")
}

fn read_days(s: &str) -> Option<u8> {
    if s == "daily" {
        return Some(0x7f);
    }
    let day = |s: &str| DAYS.iter().position(|d| *d == s);
    let mut days = 0;
    for part in s.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // fri-mon goes round.
        let many = (last + 7 - first) % 7;
        (first..=first + many).for_each(|d| days |= 1 << (d % 7));
    }
    Some(days)
}

fn minute(s: &str) -> Option<u16> {
    let (h, m) = s.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<u16>().ok()).flatten();
    let (h, m) = (digits(h)?, digits(m)?);
    (m < 60 && h * 60 + m <= DAY).then_some(h * 60 + m)
}

/// When a rule is in force; always, if nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct When {
    /// In these hours only.
    pub hours: Option<Hours>,
    /// Before this moment only.
    pub until: Option<Utc>,
}

impl When {
    /// True where nothing is said.
    pub fn is_always(&self) -> bool {
        self.hours.is_none() && self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(s: &str) -> Hours {
        s.parse().unwrap()
    }

    #[test]
    fn hours_are_read_and_said_in_one_way() {
        let said = |s: &str| hours(s).to_string();
        assert_eq!(said("mon-fri 08:00-18:00 Asia/Tokyo"), "mon-fri 08:00-18:00 Asia/Tokyo");
        assert_eq!(said("tue,mon,thu,sat-sun 08:00-18:00 UTC"), "mon,tue,thu,sat,sun 08:00-18:00 UTC");
        assert_eq!(said("fri-mon 08:00-18:00 UTC"), "mon,fri-sun 08:00-18:00 UTC");
        assert_eq!(said("sun,fri-mon 22:00-06:30 UTC"), "mon,fri-sun 22:00-06:30 UTC");
        assert_eq!(said("tue-mon  00:00-24:00 Etc/GMT+9"), "daily 00:00-24:00 Etc/GMT+9");
        for bad in [
            "",
            "mon",
            "mon 08:00-18:00",
            "mon 8:00-18:00 UTC",
            "mon 08:00-18:60 UTC",
            "mon 08:00-24:01 UTC",
            "mon 08:00-08:00 UTC",
            "mon 24:00-08:00 UTC",
            "moon 08:00-09:00 UTC",
            "mon, 08:00-09:00 UTC",
            "mon 08:00-09:00 Mars;x",
            "mon 08:00-09:00 UTC now",
            "mon +8:00-09:00 UTC",
        ] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_that_end_before_they_begin_go_on_into_the_next_day() {
        let day = hours("mon,wed 08:00-18:00 UTC");
        assert!(
            day.hold(0, 480)
                && day.hold(2, 1079)
                && !day.hold(2, 1080)
                && !day.hold(0, 479)
                && !day.hold(1, 600)
        );
        let night = hours("sat 22:00-06:00 UTC");
        assert!(night.hold(5, 1320) && night.hold(6, 0) && night.hold(6, 359));
        assert!(!night.hold(5, 0) && !night.hold(6, 360) && !night.hold(6, 1320) && !night.hold(0, 0));
        let round = hours("sun 23:00-01:00 UTC");
        assert!(round.hold(6, 1439) && round.hold(0, 59) && !round.hold(0, 60) && !round.hold(6, 30));
        let all = hours("daily 00:00-24:00 UTC");
        assert!((0..7).all(|d| all.hold(d, 0) && all.hold(d, 1439)));
    }
}
