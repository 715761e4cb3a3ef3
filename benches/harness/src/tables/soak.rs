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
        let verdict = soak.fault().unwrap_or_else(|| "sound".to_owned());
        let Ok(soaked) = &soak.outcome else {
            let mut row = vec![soak.rung.to_owned()];
            row.resize(11, NONE.to_owned());
            row.push(verdict);
            rows.add_row(row);
            continue;
        };
        let (early, late) = match creep(&soaked.resident_bytes) {
            Some((early, late)) => (mib(early), mib(late)),
            None => (NONE.to_owned(), NONE.to_owned()),
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
        let soak = |resident_mib: Option<[u64; 4]>| Soak {
            rung: "return-pages",
            settings: String::new(),
            outcome: resident_mib.ok_or("exit code 1".to_owned()).map(|resident| Soaked {
                resident_bytes: resident.map(|mib| [mib << 20; 4]).concat(),
                ..Soaked::default()
            }),
        };
        let text = super::soak(&[soak(Some([9; 4])), soak(Some([9, 9, 90, 900])), soak(None)]);
        assert!(
            text.contains("sound") && text.contains("creeps") && text.contains("exit code 1"),
            "{text}"
        );
    }
}
