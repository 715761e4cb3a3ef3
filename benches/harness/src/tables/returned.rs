//! The comparison of the workloads that end with a rest: what was given back, and what it cost.

use super::{align_numbers, mib_over, table, wrap};
use crate::compare::Comparison;
use crate::results::{Outcome, Run};
use crate::returned::{Returned, TARGET};
use crate::text::{grouped, mib, or_none, times};

pub const HEADS: [&str; 13] = [
    "contender",
    "peak",
    "drop",
    "idle 1 s",
    "idle 2 s",
    "idle 5 s",
    "bound",
    "5 s/bound",
    "refaults",
    "system calls",
    "cpu s",
    "wall s",
    "target",
];

/// One line for each contender, and what the heads mean.
pub fn comparison(runs: &[Run]) -> String {
    let mut table = table(&HEADS);
    align_numbers(&mut table, 1..HEADS.len() - 1);
    wrap(&mut table, 1, super::REASON_WIDTH);
    table.add_rows(cells(runs));
    format!(
        "{}\ntarget: {TARGET}. bound: the OS pages that hold a survivor. refaults: minor faults of a fixed piece \
         of work after the rest. cpu s: with the rest's.",
        table.trim_fmt()
    )
}

/// The cells of that table.
pub fn cells(runs: &[Run]) -> Vec<Vec<String>> {
    let cells = runs.iter().map(|run| match &run.outcome {
        Outcome::Measured { comparison, returned: Some(returned), .. } => {
            row(&run.contender, comparison, returned).to_vec()
        }
        _ => super::failed(run, HEADS.len()),
    });
    cells.collect()
}

fn row(contender: &str, comparison: &Comparison, returned: &Returned) -> [String; HEADS.len()] {
    let seconds = |nanoseconds: u64| format!("{:.2}", nanoseconds as f64 / 1e9);
    [
        contender.to_owned(),
        or_none(comparison.peak_bytes, mib_over),
        or_none(comparison.after_drop_bytes, mib_over),
        or_none(returned.idle_1s_bytes, mib_over),
        or_none(returned.idle_2s_bytes, mib_over),
        or_none(returned.idle_5s_bytes, mib_over),
        or_none(returned.bound_bytes, mib),
        or_none(returned.idle_over_bound, times),
        or_none(returned.refaults, grouped),
        or_none(returned.system_calls, grouped),
        seconds(returned.cpu_ns),
        seconds(comparison.wall_ns),
        or_none(returned.target_met, |met| if met { "met" } else { "not met" }.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::NONE;

    #[test]
    fn a_row_tells_the_target_and_dashes_what_is_not_known() {
        let comparison = Comparison {
            baseline_bytes: Some(2 << 20),
            peak_bytes: Some(9 << 20),
            after_drop_bytes: Some(8 << 20),
            idle_bytes: None,
            high_water_bytes: None,
            retained_over_live: None,
            wall_ns: 1_250_000_000,
            cpu_ns: 1,
            minor_faults: 0,
        };
        let returned = Returned {
            idle_1s_bytes: Some(7 << 20),
            idle_2s_bytes: Some(6 << 20),
            idle_5s_bytes: Some(5 << 20),
            bound_bytes: Some(2 << 20),
            idle_over_bound: Some(2.5),
            target_met: Some(true),
            refaults: Some(1_234),
            system_calls: None,
            cpu_ns: 2_500_000_000,
        };
        assert_eq!(
            row("system", &comparison, &returned).join(" "),
            format!("system 9.0 8.0 7.0 6.0 5.0 2.0 2.50 1,234 {NONE} 2.50 1.25 met")
        );
    }
}
