//! Dates as JavaScript writes them: `toISOString` and `toUTCString`.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MILLIS: i64 = 86_400_000;
/// The last instant a JavaScript `Date` can hold, and its mirror before 1970.
pub(crate) const LIMIT: i64 = 8_640_000_000_000_000;

struct Parts {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    millis: i64,
}

/// Splits by Howard Hinnant's civil-from-days algorithm.
fn split(millis: i64) -> Parts {
    let millis = millis.clamp(-LIMIT, LIMIT);
    let days = millis.div_euclid(DAY_MILLIS);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 2 } else { shifted_month - 10 };
    Parts {
        year: year_of_era + era * 400 + i64::from(month < 2),
        month: usize::try_from(month).unwrap_or(0),
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        weekday: usize::try_from(days.rem_euclid(7)).unwrap_or(0),
        millis: millis.rem_euclid(DAY_MILLIS),
    }
}

/// Writes `millis` as `2030-01-02T03:04:05.678Z`.
pub(crate) fn write_iso(out: &mut String, millis: i64) {
    let Parts { year, month, day, millis, .. } = split(millis);
    if (0..=9999).contains(&year) {
        digits(out, year, 4);
    } else {
        out.push(if year < 0 { '-' } else { '+' });
        digits(out, year.abs(), 6);
    }
    out.push('-');
    digits(out, i64::try_from(month + 1).unwrap_or(0), 2);
    out.push('-');
    digits(out, day, 2);
    out.push('T');
    time(out, millis);
    out.push('.');
    digits(out, millis % 1000, 3);
    out.push('Z');
}

/// Writes `millis` as `Wed, 02 Jan 2030 03:04:05 GMT`.
pub(crate) fn write_http(out: &mut String, millis: i64) {
    let Parts { year, month, day, weekday, millis } = split(millis);
    out.push_str(DAYS[weekday]);
    out.push_str(", ");
    digits(out, day, 2);
    out.push(' ');
    out.push_str(MONTHS[month]);
    out.push_str(if year < 0 { " -" } else { " " });
    digits(out, year.abs(), 4);
    out.push(' ');
    time(out, millis);
    out.push_str(" GMT");
}

fn time(out: &mut String, millis: i64) {
    digits(out, millis / 3_600_000, 2);
    out.push(':');
    digits(out, millis / 60_000 % 60, 2);
    out.push(':');
    digits(out, millis / 1000 % 60, 2);
}

/// Writes a number from 0 up with at least `width` digits: a tenth of what formatting costs.
fn digits(out: &mut String, number: i64, width: usize) {
    let (mut text, mut rest, mut at) = ([b'0'; 20], number.unsigned_abs(), 20);
    while rest > 0 || 20 - at < width {
        at -= 1;
        text[at] = b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)];
        rest /= 10;
    }
    out.extend(text[at..].iter().map(|digit| char::from(*digit)));
}

/// Reads what [`write_iso`] writes, and ISO 8601 with an offset or without milliseconds.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    if let Ok(exact) = text.as_bytes().try_into()
        && let Some(millis) = parse_exact(exact)
    {
        return Some(millis);
    }
    let (year, rest) = match text.as_bytes().first()? {
        b'+' | b'-' => text.split_at_checked(7)?,
        _ => text.split_at_checked(4)?,
    };
    let year: i64 = year.parse().ok()?;
    let bytes = rest.as_bytes();
    let (head, tail) = rest.split_at_checked(15)?;
    for (at, mark) in [(0, b'-'), (3, b'-'), (6, b'T'), (9, b':'), (12, b':')] {
        if bytes[at] != mark {
            return None;
        }
    }
    let number = |from: usize| -> Option<i64> {
        let digits = head.get(from..from + 2)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (month, day) = (number(1)?, number(4)?);
    let (hour, minute, second) = (number(7)?, number(10)?, number(13)?);
    let (fraction, zone) = split_fraction(tail)?;
    let millis = join([year, month, day], [hour, minute, second], fraction)? - zone * 60_000;
    (millis.abs() <= LIMIT).then_some(millis)
}

/// Reads `2030-01-02T03:04:05.678Z`, which is how dates of our time are written.
pub(crate) fn parse_exact(text: &[u8; 24]) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        (digit < 10).then_some(i64::from(digit))
    };
    let two = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
    let date = [two(0)? * 100 + two(2)?, two(5)?, two(8)?];
    join(date, [two(11)?, two(14)?, two(17)?], two(20)? * 10 + digit(22)?)
}

fn join(date: [i64; 3], time: [i64; 3], millis: i64) -> Option<i64> {
    let ([year, month, day], [hour, minute, second]) = (date, time);
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 24
        && minute < 60
        && second < 60;
    let days = || days_from_civil(year, month, day) * DAY_MILLIS;
    valid.then(|| days() + ((hour * 60 + minute) * 60 + second) * 1000 + millis)
}

/// Splits `.678+01:00` into milliseconds and minutes east of Greenwich.
fn split_fraction(text: &str) -> Option<(i64, i64)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, zone_minutes(text)?)) };
    let end = digits.bytes().position(|b| !b.is_ascii_digit())?;
    let (digits, zone) = digits.split_at(end);
    let millis = digits.bytes().chain([b'0', b'0']).take(3).filter(|_| !digits.is_empty());
    let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((millis, zone_minutes(zone)?))
}

fn zone_minutes(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        two.then(|| digits.parse::<i64>().ok())?
    };
    Some(sign * (number(hours)? * 60 + number(minutes)?))
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iso(millis: i64) -> String {
        let mut out = String::new();
        write_iso(&mut out, millis);
        out
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in -LIMIT..LIMIT) {
            prop_assert_eq!(parse_iso(&iso(millis)), Some(millis));
        }

        #[test]
        fn any_text_is_a_date_or_none(text in ".{0,40}") {
            parse_iso(&text);
        }
    }

    #[test]
    fn other_spellings_of_a_date_are_read() {
        assert_eq!(parse_iso("2030-01-02T03:04:05Z"), parse_iso("2030-01-02T03:04:05.000Z"));
        assert_eq!(parse_iso("2030-01-02T04:04:05.5+01:00"), parse_iso("2030-01-02T03:04:05.500Z"));
        for bad in
            ["", "2030", "2030-13-02T03:04:05Z", "2030-01-02 03:04:05Z", "tomorrow, noon-ish"]
        {
            assert_eq!(parse_iso(bad), None, "{bad}");
        }
    }
}
