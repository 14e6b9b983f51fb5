//! Whether a rule is in force at a moment: its hours by the clocks of their time zone, and its end.
//!
//! The zones are those that this program was built with, so that every machine says the same. A policy with hours of a zone
//! that there is not is refused, when it is written and when it is read.

use jiff::{Timestamp, civil, tz::TimeZone};
use std::collections::BTreeSet;
use types::{Hours, Name, Rule, Utc, When};

/// True where there is a time zone of this name.
pub fn is_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// True where it holds at this moment; `None` where there is no such time zone.
pub fn holds(when: &When, at: Utc) -> Option<bool> {
    if when.until.is_some_and(|until| at >= until) {
        return Some(false);
    }
    when.hours.as_ref().map_or(Some(true), |h| {
        let (_, local) = local(h, at)?;
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        Some(h.hold(local.weekday().to_monday_zero_offset() as u8, minute))
    })
}

/// The next moment at which it may begin or end to hold; `None` if there is none.
pub fn next(when: &When, at: Utc) -> Option<Utc> {
    let border = when.hours.as_ref().and_then(|h| next_border(h, at));
    when.until.filter(|until| *until > at).into_iter().chain(border).min()
}

/// Which of them hold at this moment, one bit each, the lowest first: the word of `pgw_policy::Compiled::with_clocks`.
pub fn word(all: &[When], at: Utc) -> Vec<u64> {
    let bits = |part: &[When]| {
        part.iter().rev().fold(0, |w, when| w << 1 | u64::from(holds(when, at) == Some(true)))
    };
    all.chunks(64).map(bits).collect()
}

/// The rules that are not in force at this moment.
pub fn off<'a>(rules: impl IntoIterator<Item = &'a Rule>, at: Utc) -> BTreeSet<Name> {
    rules.into_iter().filter(|r| holds(&r.when, at) != Some(true)).map(|r| r.name.clone()).collect()
}

fn local(h: &Hours, at: Utc) -> Option<(TimeZone, civil::DateTime)> {
    let zone = TimeZone::get(h.zone()).ok()?;
    let local = Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()).datetime();
    Some((zone, local))
}

/// Every day has both borders, whichever days the hours are of: at one where nothing changes, nothing is done. Where the
/// zone puts its clocks forward or back, that is a border, too.
fn next_border(h: &Hours, at: Utc) -> Option<Utc> {
    let (zone, local) = local(h, at)?;
    let now = Timestamp::from_millisecond(at.0).ok()?;
    let mut found: Vec<Timestamp> = zone.following(now).next().map(|t| t.timestamp()).into_iter().collect();
    let mut date = local.date();
    for _ in 0..3 {
        for minute in [h.from(), h.to()] {
            let day = if minute == 1440 { date.tomorrow().ok()? } else { date };
            let time = civil::time((minute / 60 % 24) as i8, (minute % 60) as i8, 0, 0);
            // Where clocks are put back, a time of day comes twice.
            let moment = zone.to_ambiguous_timestamp(day.to_datetime(time));
            found.extend([moment.earlier(), moment.later()].into_iter().flatten());
        }
        date = date.tomorrow().ok()?;
    }
    found.into_iter().filter(|t| *t > now).min().map(|t| Utc(t.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Utc {
        Utc(s.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn when(hours: &str, until: Option<&str>) -> When {
        When { hours: (!hours.is_empty()).then(|| hours.parse().unwrap()), until: until.map(at) }
    }

    #[test]
    fn office_hours_are_those_of_their_zone() {
        let w = when("mon-fri 08:00-18:00 Asia/Tokyo", None);
        // 2026-11-20 is a Friday; Tokyo is nine hours ahead.
        for (t, on) in [
            ("2026-11-19T22:59:59Z", false),
            ("2026-11-19T23:00:00Z", true),
            ("2026-11-20T08:59:59Z", true),
            ("2026-11-20T09:00:00Z", false),
            ("2026-11-20T23:30:00Z", false),
            ("2026-11-22T23:00:00Z", true),
        ] {
            assert_eq!(holds(&w, at(t)), Some(on), "{t}");
        }
        assert_eq!(next(&w, at("2026-11-20T00:00:00Z")), Some(at("2026-11-20T09:00:00Z")));
        assert_eq!(next(&w, at("2026-11-20T09:00:00Z")), Some(at("2026-11-20T23:00:00Z")));
    }

    #[test]
    fn an_end_is_an_end_and_comes_before_later_borders() {
        let w = when("daily 00:00-24:00 UTC", Some("2026-12-01T12:34:56Z"));
        assert_eq!(holds(&w, at("2026-12-01T12:34:55Z")), Some(true));
        assert_eq!(holds(&w, at("2026-12-01T12:34:56Z")), Some(false));
        assert_eq!(next(&w, at("2026-12-01T12:00:00Z")), Some(at("2026-12-01T12:34:56Z")));
        let once = when("", Some("2026-12-01T00:00:00Z"));
        assert_eq!((next(&once, at("2026-12-01T00:00:00Z")), next(&When::default(), Utc(0))), (None, None));
        assert_eq!(holds(&When::default(), Utc(0)), Some(true));
    }

    /// Between two borders nothing changes, also where the clocks are put forward (29 March 2026) and back.
    #[test]
    fn nothing_changes_between_two_borders() {
        for hours in [
            "sat,sun 01:30-02:30 Europe/Berlin",
            "sat 22:00-03:15 Europe/Berlin",
            "mon-fri 00:00-24:00 America/New_York",
        ] {
            let w = when(hours, None);
            for start in ["2026-03-27T00:00:00Z", "2026-10-23T00:00:00Z", "2026-10-30T00:00:00Z"] {
                let (mut t, end) = (at(start), Utc(at(start).0 + 5 * 86_400_000));
                while t < end {
                    let border = next(&w, t).unwrap();
                    let mut minute = t;
                    while minute < border {
                        assert_eq!(holds(&w, minute), holds(&w, t), "{hours}: {t:?} to {border:?}");
                        minute = Utc(minute.0 + 60_000);
                    }
                    t = border;
                }
            }
        }
    }

    #[test]
    fn a_zone_that_there_is_not_is_seen() {
        assert!(is_zone("Asia/Tokyo") && is_zone("UTC") && !is_zone("Asia/Edo"));
        assert_eq!(holds(&when("daily 00:00-24:00 Asia/Edo", None), Utc(0)), None);
    }
}
