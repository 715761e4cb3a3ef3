//! All that a session measured, in the shape of its JSON file.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::compare::Comparison;
use crate::machine::Machine;
use crate::report::{Figure, HeapMap, Moment, Report};
use crate::returned::Returned;
use crate::ruler::Ruler;
use crate::runner::Reason;

/// A whole session.
#[derive(Clone, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub settings: Settings,
    pub workloads: Vec<WorkloadResult>,
    /// Whether an interrupt ended it early.
    #[serde(default)]
    pub interrupted: bool,
    /// Maps of a small heap before and after a drop, for a report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapResult>,
}

/// What was asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub workloads: Vec<String>,
    pub contenders: Vec<String>,
    /// Peers that were asked for and did not build here.
    #[serde(default)]
    pub left_out: Vec<String>,
    pub scale: u64,
    /// The folder of `--input`; none for the harness's own dependencies.
    pub input: Option<PathBuf>,
    /// A second of idling; less only where tests cannot wait.
    pub second_ms: u64,
    pub timeout_ms: u64,
}

/// One workload under every contender.
#[derive(Clone, Serialize, Deserialize)]
pub struct WorkloadResult {
    pub workload: String,
    /// What the figures of the reports are compared with, if the workload has such.
    pub reference: Vec<Figure>,
    pub runs: Vec<Run>,
    /// What the workload asked for over time, for a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruler: Option<Ruler>,
}

/// The maps of one contender's heap, or why there are none.
#[derive(Clone, Serialize, Deserialize)]
pub struct MapResult {
    pub contender: String,
    pub maps: Vec<HeapMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Reason>,
}

/// One workload under one contender.
#[derive(Clone, Serialize, Deserialize)]
pub struct Run {
    pub contender: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A run measured something or failed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Measured {
        comparison: Comparison,
        /// For a workload that ends with a rest.
        #[serde(skip_serializing_if = "Option::is_none")]
        returned: Option<Box<Returned>>,
        report: Box<Report>,
        /// Resident memory over time, as the parent saw it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        curve: Vec<Moment>,
    },
    Failed {
        failed: Reason,
    },
}

impl Run {
    pub fn measured(contender: &str, report: Report, curve: Vec<Moment>) -> Run {
        let comparison = Comparison::of(&report);
        Run {
            contender: contender.to_owned(),
            outcome: Outcome::Measured {
                curve,
                returned: Returned::of(&report, &comparison).map(Box::new),
                comparison,
                report: Box::new(report),
            },
        }
    }

    pub fn failed(contender: &str, reason: Reason) -> Run {
        Run { contender: contender.to_owned(), outcome: Outcome::Failed { failed: reason } }
    }

    /// The report, if there is one.
    pub fn report(&self) -> Option<&Report> {
        match &self.outcome {
            Outcome::Measured { report, .. } => Some(report),
            Outcome::Failed { .. } => None,
        }
    }
}

impl Results {
    /// Writes all of it as JSON.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, file: File) -> Result<()> {
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, self)?;
        Ok(file.flush()?)
    }

    /// What such a file holds.
    ///
    /// # Errors
    ///
    /// A sentence, if the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Results> {
        let about = |error: &dyn Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| about(&error))?;
        Ok(serde_json::from_reader(BufReader::new(file)).map_err(|error| about(&error))?)
    }

    /// Whether any run failed.
    pub fn any_failed(&self) -> bool {
        self.workloads.iter().flat_map(|workload| &workload.runs).any(|run| run.report().is_none())
    }
}
