//! Numbers as people read them.

/// Two places behind the point where they say something.
pub fn digits(number: f64) -> String {
    if number.abs() < 10.0 && number.fract() != 0.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

/// A whole number, its thousands apart.
pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A proportion, if there is one.
pub fn times(ratio: Option<f64>) -> String {
    ratio.map_or("–".into(), |ratio| format!("{ratio:.2}×"))
}
