//! Inputs for parsers, generated: the same in every run, and of the kinds of things that real ones have.

use std::fmt::Write;

use crate::random::Random;

const SYLLABLES: [&str; 32] = [
    "al", "be", "con", "da", "er", "fi", "gra", "hi", "in", "jo", "ka", "lo", "men", "nu", "or",
    "pe", "qui", "ra", "sen", "ti", "un", "ver", "wa", "xe", "yo", "za", "the", "ing", "tion",
    "est", "ly", "ment",
];

/// A word of one to four syllables. Short ones are frequent, long ones rare.
pub fn word(random: &mut Random) -> String {
    let syllables = 1 + random.below(4).min(random.below(4));
    (0..syllables).map(|_| SYLLABLES[random.below(SYLLABLES.len())]).collect()
}

/// A key of 12 to 32 characters, another for each number.
pub fn key(number: usize) -> String {
    let mut random = Random::seeded(number as u64);
    let mut key = format!("{}-{number:08}", word(&mut random));
    for _ in 0..random.below(3) {
        key.push('.');
        key.push_str(&word(&mut random));
    }
    key
}

fn sentence(random: &mut Random, words: usize) -> String {
    let words: Vec<String> = (0..words).map(|_| word(random)).collect();
    words.join(" ")
}

/// About so many bytes of JSON: an array of objects with strings, numbers, arrays and nested objects.
pub fn json(bytes: usize) -> String {
    let mut random = Random::seeded(0);
    let mut text = String::from("[");
    for id in 0_u64.. {
        if text.len() >= bytes {
            break;
        }
        let comma = if id == 0 { "" } else { "," };
        let (name, city) = (sentence(&mut random, 2), word(&mut random));
        let about_words = 3 + random.below(20);
        let about = sentence(&mut random, about_words);
        let _ = write!(
            text,
            r#"{comma}{{"id":{id},"name":"{name}","active":{},"score":{}.{},"about":"{about}","#,
            id % 3 == 0,
            random.below(1_000),
            random.below(100),
        );
        let _ =
            write!(text, r#""address":{{"city":"{city}","zip":"{:05}","#, random.below(100_000));
        let _ =
            write!(text, r#""at":[{}.5,-{}.25]}},"tags":["#, random.below(90), random.below(180));
        for tag in 0..random.below(6) {
            let comma = if tag == 0 { "" } else { "," };
            let _ = write!(text, r#"{comma}"{}""#, word(&mut random));
        }
        text.push_str("],\"parent\":null}");
    }
    text.push(']');
    text
}

/// About so many bytes of Markdown: headings, paragraphs with emphasis, links and code, lists, tables, code blocks.
pub fn markdown(bytes: usize) -> String {
    let mut random = Random::seeded(0);
    let mut text = String::new();
    while text.len() < bytes {
        let _ = writeln!(text, "## {}\n", sentence(&mut random, 4));
        for _ in 0..2 {
            let [before, strong, between, code, after] =
                [12, 2, 9, 1, 15].map(|words| sentence(&mut random, words));
            let target = word(&mut random);
            let _ = writeln!(
                text,
                "{before} **{strong}** {between} `{code}` and [{target}](https://example.org/{target}), {after}.\n"
            );
        }
        for _ in 0..5 {
            let _ = writeln!(text, "* {}\n  * *{}*", sentence(&mut random, 7), word(&mut random));
        }
        let _ = writeln!(text, "\n| {} | {} |\n|---|---|", word(&mut random), word(&mut random));
        for _ in 0..4 {
            let _ = writeln!(text, "| {} | {} |", sentence(&mut random, 3), random.below(1_000));
        }
        let _ =
            writeln!(text, "\n```rust\nlet {} = {};\n```\n", word(&mut random), random.below(99));
    }
    text
}

/// About so many bytes of Rust: structures, implementations, matches, closures, generics.
pub fn rust(bytes: usize) -> String {
    let mut text = String::from("use std::collections::HashMap;\n");
    for number in 0_u32.. {
        if text.len() >= bytes {
            break;
        }
        let _ = write!(
            text,
            r#"
/// The record number {number}, as it comes from the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record{number}<'a, T: Clone + 'a> {{
    pub name: &'a str,
    pub values: Vec<Option<T>>,
    parents: HashMap<String, Box<Record{number}<'a, T>>>,
    weight: [f64; {number}],
}}

impl<'a, T> Record{number}<'a, T>
where
    T: Clone + PartialOrd<T> + 'a,
{{
    const LIMIT: usize = {number} * 16 + 3;

    /// Looks for a value.
    pub fn find(&self, key: &str, depth: usize) -> Result<Option<&T>, Error<{number}>> {{
        let mut best = None;
        for (index, value) in self.values.iter().enumerate().skip(depth % 7) {{
            match (value, best) {{
                (Some(value), None) if index < Self::LIMIT => best = Some(value),
                (Some(value), Some(other)) if *value > *other => best = Some(value),
                (None, Some(_)) | (None, None) => continue,
                _ => break,
            }}
        }}
        if let Some(parent) = self.parents.get(key).filter(|parent| !parent.values.is_empty()) {{
            return parent.find(&format!("{{}}/{{}}", self.name, key), depth + 1).map(|found| found.or(best));
        }}
        let total: f64 = self.weight.iter().map(|weight| weight * {number}.5 + (depth as f64).sqrt()).sum();
        if total > 1e9 && !(key.starts_with('_') || key.len() > 40) {{
            return Err(Error::TooHeavy {{ total, limit: Self::LIMIT }});
        }}
        Ok(best)
    }}
}}
"#
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_of_the_size_asked_for_and_the_same_every_time() {
        for make in [json, markdown, rust] {
            let text = make(100_000);
            assert!((100_000..104_000).contains(&text.len()), "{}", text.len());
            assert_eq!(text, make(100_000));
        }
    }

    #[test]
    fn keys_differ() {
        let mut keys: Vec<String> = (0..1_000).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 1_000);
    }
}
