//! `profile!` in a program of whatever shape: its table, its value, and that it leaves the statements
//! what they are.
#![cfg(unix)]

#[path = "support/child.rs"]
mod child;

use std::hint::black_box;
use std::ops::AddAssign;
use std::sync::OnceLock;

use child::alone_with;
use highwater::{Highwater, profile};
use regex::Regex;

#[global_allocator]
static GLOBAL: Highwater = Highwater::new();

/// A line of a table.
#[derive(Debug, PartialEq)]
struct Row {
    /// `None` of what is no statement.
    line: Option<u32>,
    /// MiB: resident and its increment, live and its increment, free.
    figures: [f64; 5],
    statement: String,
}

const BEFORE: &str = "(before)";
const END: &str = "(the end of the block)";

/// The rows of every table in what a child has printed. Unknown figures are not a number.
fn rows(printed: &str) -> Vec<Row> {
    static ROW: OnceLock<Regex> = OnceLock::new();
    let figure = r" +([+-]?[0-9.]+|-)";
    let pattern = format!("(?m)^( +[0-9]+| {{6}}){figure}{figure}{figure}{figure}{figure}  (.*)$");
    let row = ROW.get_or_init(|| Regex::new(&pattern).unwrap());
    let rows = row.captures_iter(printed).map(|captures| {
        let figure = |number: usize| captures[number].parse().unwrap_or(f64::NAN);
        Row {
            line: captures[1].trim().parse().ok(),
            figures: [2, 3, 4, 5, 6].map(figure),
            statement: captures[7].to_owned(),
        }
    });
    rows.collect()
}

/// The statements, with the lines at which they stand, counted from the first's.
fn statements(rows: &[Row]) -> Vec<(u32, &str)> {
    let first = rows.iter().find_map(|row| row.line).unwrap_or(0);
    let lined = rows.iter().filter_map(|row| Some((row.line? - first, &*row.statement)));
    lined.collect()
}

/// Runs `body` in a process of its own. The rows that it printed, to the parent only.
macro_rules! printed {
    ($body:expr) => {
        match alone_with(&[], $body) {
            Some(ended) => rows(&ended.stderr),
            None => return,
        }
    };
}

#[test]
fn each_statement_has_a_row_with_its_line_and_its_text() {
    let first = line!() + 3;
    let rows = printed!(|| {
        profile! {
            let mut numbers: Vec<u64> = Vec::new();
            let (one, two) = (1, 2);

            numbers.extend([one,
                two]);
            numbers.pop();
            drop(numbers);
        }
    });
    let texts: Vec<&str> = rows.iter().map(|row| &*row.statement).collect();
    assert_eq!(
        texts,
        [
            BEFORE,
            "let mut numbers: Vec<u64> = Vec::new()",
            "let (one, two) = (1, 2)",
            "numbers.extend([one, two])",
            "numbers.pop()",
            "drop(numbers)",
            END,
        ]
    );
    let lines: Vec<u32> = rows.iter().filter_map(|row| row.line).collect();
    assert_eq!(lines, [first, first + 1, first + 3, first + 5, first + 6]);
}

#[test]
fn what_needs_no_semicolon_is_a_statement_all_the_same() {
    struct Pair {
        a: u32,
        b: u32,
    }
    let rows = printed!(|| {
        let sum = profile! {
            let mut pairs = Vec::from([Pair { a: 1, b: 2 }]);
            for a in 0..4 {
                pairs.push(Pair { a, b: a + 1 });
            }
            let mut sum = 0;
            for Pair { a, b } in &pairs { sum += a * b; }
            while let Some(Pair { a, b }) = pairs.pop() { sum += a + b }
            if sum > 100 { sum = 0 } else if let Pair { a: 1, b } = (Pair { a: 1, b: 2 }) { sum += b } else { sum = 1 }
            match sum { 0 => sum = 7, _ => {} }
            'out: loop { if sum > 0 { break 'out } }
            { sum += 1; }
            unsafe { sum = sum.unchecked_add(1) }
            while sum < 45 { sum += 1 };
            match &mut sum { sum if *sum > 0 => sum, other => other }.add_assign(0);
            if sum > 0 { sum } else { 0 }
        };
        assert_eq!(sum, 45);
    });
    let expected = [
        (0, "let mut pairs = Vec::from([Pair { a: 1, b: 2 }])"),
        (1, "for a in 0..4 { pairs.push(Pair { a, b: a + 1 }); }"),
        (4, "let mut sum = 0"),
        (5, "for Pair { a, b } in &pairs { sum += a * b; }"),
        (6, "while let Some(Pair { a, b }) = pairs.pop() { sum += a + b }"),
        (
            7,
            "if sum > 100 { sum = 0 } else if let Pair { a: 1, b } = (Pair { a: 1, b: 2 }) \
             { sum += b } else { sum = 1 }",
        ),
        (8, "match sum { 0 => sum = 7, _ => {} }"),
        (9, "'out : loop { if sum > 0 { break 'out } }"),
        (10, "{ sum += 1; }"),
        (11, "unsafe { sum = sum.unchecked_add(1) }"),
        (12, "while sum < 45 { sum += 1 }"),
        (13, "match &mut sum { sum if *sum > 0 => sum, other => other }.add_assign(0)"),
        (14, "if sum > 0 { sum } else { 0 }"),
    ];
    assert_eq!(statements(&rows), expected);
}

#[test]
fn a_block_may_be_left_early_and_its_table_is_printed() {
    fn half(text: &str) -> Result<u32, std::num::ParseIntError> {
        let number = profile! {
            let number: u32 = text.parse()?;
            number / 2
        };
        Ok(number + 1)
    }
    let rows = printed!(|| {
        assert_eq!(half("10"), Ok(6));
        assert!(half("ten").is_err());
        let panics = || profile! { if black_box(true) { panic!("on purpose") }; 7 };
        let panicked = std::panic::catch_unwind(panics);
        assert!(panicked.is_err());
    });
    let texts: Vec<&str> = rows.iter().map(|row| &*row.statement).collect();
    let parse = "let number: u32 = text.parse()?";
    assert_eq!(texts, [BEFORE, parse, "number / 2", END, BEFORE, END, BEFORE, END]);
}

#[test]
fn names_that_are_known_as_something_else_have_lines_too() {
    const MAX: usize = 3;
    let block = line!() + 6;
    struct Counter {
        count: usize,
    }
    impl Counter {
        fn count_up(&mut self) {
            profile! {
                self.count += MAX;
                Self::nothing();
                None::<u8>.take();
                *self.count_mut() += 1;
                assert_eq!(self.count, MAX + 1);
                while false {}
            }
        }
        fn nothing() {}
        fn count_mut(&mut self) -> &mut usize {
            &mut self.count
        }
    }
    let rows = printed!(|| Counter { count: 0 }.count_up());
    let lines: Vec<u32> = rows.iter().filter_map(|row| row.line).collect();
    // The last has no name, and says where the block stands.
    assert_eq!(lines, [1, 2, 3, 4, 5, 0].map(|below| block + below));
    assert_eq!(rows[6].statement, "while false {}");
}

#[test]
fn an_empty_block_is_nothing_and_a_lone_value_is_itself() {
    let rows = printed!(|| {
        profile! {}
        assert_eq!(profile! { 7 }, 7);
        profile! { ; ; }
    });
    let texts: Vec<&str> = rows.iter().map(|row| &*row.statement).collect();
    assert_eq!(texts, [BEFORE, END, BEFORE, "7", END, BEFORE, END]);
}

#[test]
#[cfg(not(feature = "hardened"))] // There, blocks are larger.
fn the_figures_are_what_the_statement_did() {
    const MIB: usize = 1 << 20;
    let rows = printed!(|| {
        profile! {
            let touched = black_box(vec![1u8; 64 * MIB]);
            let boxes: Vec<Box<[u8; 1024]>> = (0..20_000).map(|_| Box::new([1; 1024])).collect();
            drop(touched);
            let kept = boxes.into_iter().step_by(100).collect::<Vec<_>>();
            kept.len();
        }
    });
    let [resident, grown, live, live_grown, free] = [0, 1, 2, 3, 4]
        .map(|figure| rows.iter().map(|row| row.figures[figure]).collect::<Vec<f64>>());
    // Rows: before, touched, boxes, drop, kept, len, the end.
    assert_eq!((grown[0], live_grown[0]), (0.0, 0.0));
    assert_eq!(live_grown[1], 64.0);
    assert!((19.5..20.5).contains(&live_grown[2]), "{live_grown:?}");
    assert_eq!(live_grown[3], -64.0);
    assert!((-20.0..-19.0).contains(&live_grown[4]), "{live_grown:?}");
    assert_eq!(live_grown[5], 0.0);
    assert!(live_grown[6] < 0.0, "what is kept goes at the end: {live_grown:?}");
    for row in 1..rows.len() {
        let rounded = 0.11;
        assert!((resident[row] - resident[row - 1] - grown[row]).abs() < rounded, "{rows:?}");
        assert!((live[row] - live[row - 1] - live_grown[row]).abs() < rounded, "{rows:?}");
        assert!(free[row] >= 0.0);
    }
    if cfg!(target_os = "linux") {
        assert!((63.5..65.5).contains(&grown[1]), "{grown:?}");
        assert!((19.5..22.0).contains(&grown[2]), "{grown:?}");
        // What was dropped may stay until there is more to give back with it.
        assert!(grown[3] + grown[4] < -64.0, "{grown:?}");
    }
}
