//! Resident memory of another process over time, read by whoever waits for it, so that it is not disturbed.
//!
//! `/proc/PID/statm` is a few counters, where `smaps_rollup` would hold the process's map while it is walked. They
//! may be late by some dozen OS pages for each thread, which no curve shows; the tables' figures are the process's own.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::kernel;
use crate::report::Moment;

/// Bytes of `statm`: seven numbers.
const LOOK: usize = 256;

/// One process, looked at from outside.
pub struct Sampler {
    statm: Option<File>,
    start_ns: u64,
    os_page_bytes: u64,
    curve: Vec<Moment>,
}

impl Sampler {
    /// Looks at this process; times count from `start_ns`. Where the system shows nothing, the curve stays empty.
    pub fn of(process: u32, start_ns: u64) -> Sampler {
        Sampler {
            statm: File::open(format!("/proc/{process}/statm")).ok(),
            start_ns,
            os_page_bytes: kernel::os_page_bytes(),
            curve: Vec::new(),
        }
    }

    /// Adds how it is now to the curve. A process that is ending has no memory any more, and adds nothing.
    pub fn look(&mut self) {
        let Some(pages) = self.statm.as_ref().and_then(resident_pages).filter(|&pages| pages > 0)
        else {
            return;
        };
        let at_ns = kernel::clock_ns().saturating_sub(self.start_ns);
        add(&mut self.curve, Moment { at_ns, resident_bytes: pages * self.os_page_bytes });
    }

    pub fn into_curve(self) -> Vec<Moment> {
        self.curve
    }
}

/// Adds a moment. Of a stretch in which nothing changes only both ends are kept.
fn add(curve: &mut Vec<Moment>, moment: Moment) {
    if let [.., before, last] = curve.as_mut_slice()
        && before.resident_bytes == last.resident_bytes
        && last.resident_bytes == moment.resident_bytes
    {
        *last = moment;
        return;
    }
    curve.push(moment);
}

/// The second number of the file.
fn resident_pages(statm: &File) -> Option<u64> {
    let mut buffer = [0_u8; LOOK];
    let bytes = statm.read_at(&mut buffer, 0).ok()?;
    let text = std::str::from_utf8(buffer.get(..bytes)?).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_without_change_keeps_its_ends() {
        let mut curve = Vec::new();
        for (at_ns, resident_bytes) in [(0, 5), (1, 5), (2, 5), (3, 7), (4, 7), (5, 7), (6, 5)] {
            add(&mut curve, Moment { at_ns, resident_bytes });
        }
        let kept: Vec<(u64, u64)> =
            curve.iter().map(|moment| (moment.at_ns, moment.resident_bytes)).collect();
        assert_eq!(kept, [(0, 5), (2, 5), (3, 7), (5, 7), (6, 5)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_a_process_touches_is_seen() {
        let _alone = crate::WHOLE_PROCESS.lock().expect("no such test failed");
        let mut sampler = Sampler::of(std::process::id(), 0);
        sampler.look();
        let touched = vec![1_u8; 64 << 20];
        sampler.look();
        assert_eq!(std::hint::black_box(&touched).len(), 64 << 20);
        let curve = sampler.into_curve();
        assert!(curve[1].resident_bytes > curve[0].resident_bytes + (32 << 20));
        assert!(curve[1].at_ns > curve[0].at_ns);
    }
}
