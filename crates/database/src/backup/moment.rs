//! Pure: points in time as people write and read them. Always UTC: at three in the morning nobody should
//! have to know which server is in which zone, or whether the clocks were put back that night.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

/// The text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time; write it in UTC like 2026-11-25T03:15:00Z, or with an offset like \
     2026-11-25T04:15:00+01:00"
)]
pub struct NotAMoment(String);

impl Moment {
    pub fn from_s(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds, rounded down.
    pub fn s(self) -> u64 {
        self.0 / 1000
    }

    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// Nothing when `other` is later.
    pub fn since(self, other: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(other.0))
    }

    /// `20261125-031500`, for names.
    pub fn compact(self) -> String {
        TimeZone::UTC
            .to_datetime(self.timestamp())
            .strftime("%Y%m%d-%H%M%S")
            .to_string()
    }

    fn timestamp(self) -> Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = TimeZone::UTC.to_datetime(self.timestamp());
        f.pad(&text.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    /// With an offset, or without one: then it is UTC.
    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let no = || NotAMoment(text.to_owned());
        let at = match text.parse::<Timestamp>() {
            Ok(at) => at,
            Err(_) => {
                let civil: DateTime = text.parse().map_err(|_| no())?;
                TimeZone::UTC.to_timestamp(civil).map_err(|_| no())?
            }
        };
        u64::try_from(at.as_millisecond())
            .map(Self)
            .map_err(|_| no())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_utc_or_with_their_offset() {
        let at = |text: &str| text.parse::<Moment>().map(|moment| moment.to_string());
        let three = Ok("2026-11-25T03:15:00Z".to_owned());
        assert_eq!(at("2026-11-25T03:15:00Z"), three);
        assert_eq!(at("2026-11-25 03:15:00"), three);
        assert_eq!(at("2026-11-25T03:15"), three);
        assert_eq!(at("2026-11-25T04:15:00+01:00"), three);
        for bad in [
            "",
            "yesterday",
            "25.11.2026",
            "1969-01-01T00:00:00Z",
            "0-1-5",
        ] {
            let error = bad.parse::<Moment>().unwrap_err().to_string();
            assert!(error.contains("2026-11-25T03:15:00Z"), "{error}");
        }
        assert_eq!(Moment(1_795_576_500_000).compact(), "20261125-031500");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(s in 0..4_000_000_000_u64) {
            let moment = Moment::from_s(s);
            prop_assert_eq!(moment.to_string().parse::<Moment>(), Ok(moment));
        }
    }
}
