//! The table of `cargo retention instructions`.

use super::{align_numbers, table};
use crate::instructions::Count;

/// The counts, and how steady work under the default compares with never shrinking.
pub fn instructions(counts: &[Count], steady: &Count) -> String {
    let mut paths = table(&["path", "instructions", "at most", "", "what it is"]);
    align_numbers(&mut paths, 1..3);
    for count in counts {
        let [found, at_most] = [count.found, count.at_most].map(|number| format!("{number:.1}"));
        paths.add_row([count.name, &found, &at_most, verdict(count), count.about]);
    }
    format!(
        "\n{}\n\nsteady work ({}): instructions under the default over those under never-shrink: {:.3}, at most {:.2}: {}\n",
        paths.trim_fmt(),
        steady.about,
        steady.found,
        steady.at_most,
        verdict(steady),
    )
}

fn verdict(count: &Count) -> &'static str {
    if count.is_kept() { "kept" } else { "EXCEEDED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_above_its_ceiling_stands_out() {
        let count = |name, found| Count { name, about: "a path", found, at_most: 15.0 };
        let text = instructions(&[count("pop", 9.0), count("push", 15.5)], &count("steady", 1.0));
        let lines: Vec<String> = text.lines().map(crate::text::one_line).collect();
        assert!(lines.contains(&"pop 9.0 15.0 kept a path".to_owned()), "{text}");
        assert!(lines.contains(&"push 15.5 15.0 EXCEEDED a path".to_owned()), "{text}");
    }
}
