//! Numbers and source text in the shape in which they are printed.

/// What stands where there is no figure.
pub const NONE: &str = "\u{2014}"; // an em dash

/// Source text on one line: every run of white space becomes one space.
pub fn one_line(source: &str) -> String {
    source.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bytes as MiB with one decimal.
pub fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// A difference of bytes as MiB with one decimal and its sign; no sign for what rounds to zero.
pub fn mib_signed(bytes: i64) -> String {
    let text = format!("{:+.1}", bytes as f64 / f64::from(1 << 20));
    if text == "+0.0" || text == "-0.0" { "0.0".to_owned() } else { text }
}

/// A whole number with its thousands apart: 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A ratio: two decimals where they tell something.
pub fn times(ratio: f64) -> String {
    if ratio.abs() < 100.0 { format!("{ratio:.2}") } else { grouped(ratio.abs().round() as u64) }
}

/// At most one decimal, and none where it would be zero.
pub fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// The text of a figure, or the dash.
pub fn or_none<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_of_any_kind_and_length_becomes_one_space() {
        assert_eq!(one_line("  let a =\n        f(b,\t c)  "), "let a = f(b, c)");
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn sizes_are_rounded_and_signed() {
        assert_eq!(mib(3 << 19), "1.5");
        assert_eq!(mib_signed(3 << 19), "+1.5");
        assert_eq!(mib_signed(-(3 << 20)), "-3.0");
        assert_eq!(mib_signed(-100), "0.0");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(31_234_567), "31,234,567");
    }

    #[test]
    fn ratios_and_figures_show_no_digits_that_tell_nothing() {
        assert_eq!((times(1.5), times(1750.78)), ("1.50".to_owned(), "1,751".to_owned()));
        assert_eq!((number(32.0), number(0.25)), ("32".to_owned(), "0.2".to_owned()));
    }
}
