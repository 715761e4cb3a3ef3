//! The table of `cargo retention soak`.

use super::{align_numbers, table};
use crate::soak::{Soak, creep};
use crate::text::{NONE, mib};

/// What was done on each rung, and what was resident early and late.
pub fn soak(soaks: &[Soak]) -> String {
    let mut rows = table(&[
        "rung",
        "rounds",
        "blocks made",
        "resized",
        "handed over",
        "threads",
        "forks",
        "trims",
        "settings",
        "MiB early",
        "MiB late",
        "",
    ]);
    align_numbers(&mut rows, 1..11);
    for soak in soaks {
        let fault = soak.fault();
        let Ok(soaked) = &soak.outcome else {
            let mut row = vec![soak.rung.to_owned()];
            row.resize(11, NONE.to_owned());
            row.extend(fault);
            rows.add_row(row);
            continue;
        };
        let (early, late, sound) = match creep(&soaked.resident_bytes) {
            Some((early, late)) => (mib(early), mib(late), "sound"),
            None => (NONE.to_owned(), NONE.to_owned(), "sound; too few rounds to compare memory"),
        };
        let counts = [
            soaked.rounds,
            soaked.blocks_made,
            soaked.blocks_resized,
            soaked.blocks_handed_over,
            soaked.threads,
            soaked.forks,
            soaked.trims,
            soaked.settings,
        ];
        let counts = counts.map(|count| count.to_string());
        let verdict = fault.unwrap_or_else(|| sound.to_owned());
        let row = [&[soak.rung.to_owned()], &counts[..], &[early, late, verdict]].concat();
        rows.add_row(row);
    }
    format!("\n{}\n", rows.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::Soaked;

    #[test]
    fn a_fault_and_a_creep_stand_out() {
        // What was resident in each quarter.
        let soak = |resident_mib: Option<&[u64]>| Soak {
            rung: "return-pages",
            settings: String::new(),
            outcome: resident_mib.ok_or("exit code 1".to_owned()).map(|resident| Soaked {
                resident_bytes: resident.iter().flat_map(|mib| [mib << 20; 20]).collect(),
                ..Soaked::default()
            }),
        };
        let text = super::soak(&[
            soak(Some(&[9; 4])),
            soak(Some(&[9, 9, 90, 900])),
            soak(None),
            soak(Some(&[9])),
        ]);
        let verdicts = [
            "sound",
            "resident memory creeps",
            "exit code 1",
            "sound; too few rounds to compare memory",
        ];
        let ends = verdicts
            .map(|verdict| text.lines().filter(|line| line.trim_end().ends_with(verdict)).count());
        assert_eq!(ends, [1; 4], "{text}");
    }
}
