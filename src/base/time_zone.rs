//! Local time: what a clock on the wall shows in a place.

use jiff::civil::{Date, date};

use crate::base::clock::Timestamp;

/// A time zone of the IANA database, which is built in: nothing of the machine is read.
#[derive(Clone, Debug)]
pub struct TimeZone(jiff::tz::TimeZone);

/// There is no time zone of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTimeZone;

impl std::fmt::Display for UnknownTimeZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no time zone; write it like Europe/Helsinki, or UTC")
    }
}

impl TimeZone {
    /// The time zone of that name: `Europe/Helsinki`.
    pub fn named(name: &str) -> Result<Self, UnknownTimeZone> {
        jiff::tz::TimeZone::get(name).map(Self).map_err(|_| UnknownTimeZone)
    }

    /// Seconds that a clock on the wall has counted since the first second of 2001, as if every day had
    /// 24 hours. Where clocks are put back an hour counts twice.
    #[must_use]
    pub fn seconds_since_2001(&self, at: Timestamp) -> i64 {
        const START: Date = date(2001, 1, 1);
        let Ok(at) = jiff::Timestamp::from_microsecond(at.micros()) else { return i64::MAX };
        let local = self.0.to_datetime(at);
        let days = local.date().duration_since(START).as_hours() / 24;
        let time = local.time();
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
    }

    /// `YYYY-MM-DD HH:MM`, as clocks there show it.
    #[must_use]
    pub fn local_text(&self, at: Timestamp) -> String {
        let Ok(at) = jiff::Timestamp::from_second(at.seconds()) else { return String::new() };
        self.0.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// `YYYY-MM-DD HH:MM:SS` in UTC, fractions cut.
#[must_use]
pub fn utc_text(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.seconds())
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_shows_local_time_in_summer_and_in_winter() {
        // 2001-01-01 00:00:00 UTC.
        const START: i64 = 978_307_200;
        // 2026-07-01 00:00:00 UTC, by the clock of Helsinki three in the morning.
        const SUMMER: i64 = 1_782_864_000;
        let seconds = |zone, at| {
            let zone = TimeZone::named(zone).expect("a zone of the database");
            zone.seconds_since_2001(Timestamp::from_seconds(at))
        };
        assert_eq!(seconds("UTC", START + 5), 5);
        assert_eq!(seconds("Europe/Helsinki", START), 2 * 3600);
        assert_eq!(seconds("Europe/Helsinki", SUMMER), SUMMER - START + 3 * 3600);
        assert!(TimeZone::named("Europe/Nowhere").is_err());
    }

    #[test]
    fn moments_are_written_without_fractions() {
        assert_eq!(utc_text(Timestamp::from_micros(1_767_312_000_999_999)), "2026-01-02 00:00:00");
    }
}
