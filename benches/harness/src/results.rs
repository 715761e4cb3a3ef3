//! All that a session measured, in the shape of its JSON file.

use std::path::PathBuf;

use serde::Serialize;

use crate::compare::Comparison;
use crate::machine::Machine;
use crate::report::{Figure, Report};
use crate::returned::Returned;
use crate::runner::Reason;

/// A whole session.
#[derive(Serialize)]
pub struct Results {
    pub machine: Machine,
    pub settings: Settings,
    pub workloads: Vec<WorkloadResult>,
}

/// What was asked for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Settings {
    pub workloads: Vec<&'static str>,
    pub contenders: Vec<&'static str>,
    pub scale: u64,
    /// The folder of `--input`; none for the harness's own dependencies.
    pub input: Option<PathBuf>,
    /// A second of idling; less only where tests cannot wait.
    pub second_ms: u64,
    pub timeout_ms: u128,
}

/// One workload under every contender.
#[derive(Serialize)]
pub struct WorkloadResult {
    pub workload: &'static str,
    /// What the figures of the reports are compared with, if the workload has such.
    pub reference: Vec<Figure>,
    pub runs: Vec<Run>,
}

/// One workload under one contender.
#[derive(Serialize)]
pub struct Run {
    pub contender: &'static str,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A run measured something or failed.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Measured {
        comparison: Comparison,
        /// For a workload that ends with a rest.
        #[serde(skip_serializing_if = "Option::is_none")]
        returned: Option<Box<Returned>>,
        report: Box<Report>,
    },
    Failed {
        failed: Reason,
    },
}

impl Run {
    pub fn measured(contender: &'static str, report: Report) -> Run {
        let comparison = Comparison::of(&report);
        Run {
            contender,
            outcome: Outcome::Measured {
                returned: Returned::of(&report, &comparison).map(Box::new),
                comparison,
                report: Box::new(report),
            },
        }
    }

    pub fn failed(contender: &'static str, reason: Reason) -> Run {
        Run { contender, outcome: Outcome::Failed { failed: reason } }
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
    /// Whether any run failed.
    pub fn any_failed(&self) -> bool {
        self.workloads.iter().flat_map(|workload| &workload.runs).any(|run| run.report().is_none())
    }
}
