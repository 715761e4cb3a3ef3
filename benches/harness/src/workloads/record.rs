//! The record that the pickle and flat workloads write and read: a float, a 20-letter string, an integer.

use serde::{Deserialize, Serialize};

use crate::Result;

/// Letters in a record's name.
const NAME_LETTERS: usize = 20;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    pub ratio: f64,
    pub name: String,
    pub number: i64,
}

impl Record {
    /// The record of this index: the same in every process.
    pub fn nth(index: u64) -> Record {
        let random = scrambled(index);
        Record {
            ratio: (random >> 11) as f64 / (1_u64 << 53) as f64,
            name: letters(index),
            number: random.cast_signed(),
        }
    }

    /// The record in a line of text: three fields with a space between.
    pub fn parse(line: &str) -> Result<Record> {
        let mut fields = line.split(' ');
        let mut field =
            || fields.next().ok_or_else(|| format!("a line with too few fields: {line}"));
        Ok(Record {
            ratio: field()?.parse()?,
            name: field()?.to_owned(),
            number: field()?.parse()?,
        })
    }
}

/// A string of 20 lower-case letters that look random; the same for the same index.
pub fn letters(index: u64) -> String {
    let mut random = scrambled(!index);
    let mut text = String::with_capacity(NAME_LETTERS);
    for _ in 0..NAME_LETTERS {
        random = scrambled(random);
        text.push(char::from(b'a' + (random % 26) as u8));
    }
    text
}

/// SplitMix64's mixing of one number: cheap, and without state.
pub fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_line() {
        let record = Record::nth(7);
        let line = format!("{} {} {}", record.ratio, record.name, record.number);
        assert_eq!(Record::parse(&line).expect("a whole line"), record);
        assert!(Record::parse("0.5 abc").is_err());
    }

    #[test]
    fn names_have_twenty_letters_and_differ() {
        assert_eq!(letters(1).len(), 20);
        assert_ne!(letters(1), letters(2));
    }
}
