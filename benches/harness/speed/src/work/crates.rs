//! Programs made of real crates, as they come from the registry.

use std::hint::black_box;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{Array, BooleanArray, Int64Array, StringArray};
use foldhash::fast::FixedState;
use pulldown_cmark::{Options, Parser, html};
use serde_json::Value;

use super::texts;
use crate::meter::Meter;
use crate::random::Random;

/// Parses a large text into values.
pub fn json(meter: &mut Meter) {
    let text = texts::json(meter.count(20_000_000));
    meter.time(1, || {
        let value: Value = serde_json::from_str(&text).expect("JSON");
        black_box(value);
    });
}

/// Patterns as programs have them: dates, addresses, words of any script.
const PATTERNS: [&str; 12] = [
    r"^\s*(?:#|//).*$",
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?Z?",
    r"(?i)\b(?:error|warning|fatal|panic(?:ked)?)\b",
    r"[\w.+-]+@[\w-]+\.[\w.-]+",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>[^;\r\n]*)",
    r"\p{Lu}\p{Ll}+(?:\s\p{Lu}\p{Ll}+)*",
    r#""(?:[^"\\]|\\.)*""#,
    r"<([a-z][a-z0-9]*)\b[^>]*>(.*?)</[a-z]+>",
    r"^(?:GET|POST|PUT|DELETE) (/[^ ]*) HTTP/1\.[01]$",
    r"[[:xdigit:]]{8}(?:-[[:xdigit:]]{4}){3}-[[:xdigit:]]{12}",
    r"(?x) ([-+]?) (\d+) (?: \. (\d*) )? (?: [eE] ([-+]?\d+) )?",
];

/// Compiles patterns, and uses each once.
pub fn regex(meter: &mut Meter) {
    let rounds = meter.count(2);
    meter.time(rounds * PATTERNS.len(), || {
        for _ in 0..rounds {
            for pattern in PATTERNS {
                let compiled = regex::Regex::new(pattern).expect("a pattern");
                black_box(compiled.is_match("2026-11-24T10:00:00Z GET /index HTTP/1.1"));
            }
        }
    });
}

/// Parses a Rust file into a syntax tree.
pub fn syn(meter: &mut Meter) {
    let text = texts::rust(meter.count(300_000));
    meter.time(1, || {
        black_box(syn::parse_file(&text).expect("Rust"));
    });
}

/// Renders a long document into one string.
pub fn markdown(meter: &mut Meter) {
    let text = texts::markdown(meter.count(4_000_000));
    meter.time(1, || {
        let mut page = String::new();
        html::push_html(&mut page, Parser::new_ext(&text, Options::all()));
        black_box(page);
    });
}

/// Spawns tasks on two workers, which yield once and hand a string back.
pub fn tokio(meter: &mut Meter) {
    const AT_ONCE: usize = 1_000;
    let rounds = meter.count(40);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    meter.time(rounds * AT_ONCE, || {
        runtime.block_on(async {
            for _ in 0..rounds {
                let tasks: Vec<_> = (0..AT_ONCE).map(|task| tokio::spawn(answer(task))).collect();
                for task in tasks {
                    black_box(task.await.expect("a task that ends"));
                }
            }
        });
    });
}

async fn answer(task: usize) -> String {
    let question: Vec<usize> = (task..task + 4).collect();
    tokio::task::yield_now().await;
    format!("{}", question[3])
}

/// Maps that live for a while, of vectors that grow a little.
pub fn hashbrown(meter: &mut Meter) {
    const MAPS: usize = 64;
    const ENTRIES: u64 = 512;
    let inserts = meter.count(400_000);
    meter.time(inserts, || {
        let mut random = Random::seeded(0);
        let mut maps: Vec<hashbrown::HashMap<u64, Vec<u32>, FixedState>> =
            (0..MAPS).map(|_| hashbrown::HashMap::default()).collect();
        for number in 0..inserts {
            let map = &mut maps[random.below(MAPS)];
            map.entry(random.number() % ENTRIES).or_default().push(number as u32);
            // A map that has become large gives way to a new one.
            if map.len() as u64 > ENTRIES / 2 {
                *map = hashbrown::HashMap::default();
            }
        }
        black_box(maps);
    });
}

/// Columns built value by value, filtered, and joined to long ones.
pub fn arrow_columns(meter: &mut Meter) {
    const BATCH: usize = 8_192;
    let batches = meter.count(40);
    let mut random = Random::seeded(0);
    let names: Vec<String> = (0..BATCH).map(|_| texts::word(&mut random)).collect();
    meter.time(batches * BATCH, || {
        let mut kept = Vec::new();
        for batch in 0..batches as i64 {
            let (numbers, strings) = columns(batch, &names);
            let wanted: BooleanArray =
                numbers.iter().map(|number| number.map(|number| number % 3 != 0)).collect();
            kept.push((
                arrow_select::filter::filter(&numbers, &wanted).expect("equal lengths"),
                arrow_select::filter::filter(&strings, &wanted).expect("equal lengths"),
            ));
        }
        let (numbers, strings): (Vec<&dyn Array>, Vec<&dyn Array>) =
            kept.iter().map(|(numbers, strings)| (&**numbers, &**strings)).unzip();
        black_box(arrow_select::concat::concat(&numbers).expect("equal types"));
        black_box(arrow_select::concat::concat(&strings).expect("equal types"));
    });
}

fn columns(batch: i64, names: &[String]) -> (Int64Array, StringArray) {
    let (mut numbers, mut strings) = (Int64Builder::new(), StringBuilder::new());
    for (row, name) in names.iter().enumerate() {
        numbers.append_option((row % 11 != 0).then_some(batch * 7 + row as i64));
        strings.append_value(name);
    }
    (numbers.finish(), strings.finish())
}
