//! What is to be run: workloads, contenders and their size, as the command line names them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::children::Children;
use crate::contenders::{self, Accounts, Contender};
use crate::results::Settings;
use crate::session::{Order, Session};
use crate::workloads::{self, Group, Workload};
use crate::{Result, corpus, runner};

#[derive(Args)]
pub struct Choice {
    /// Workloads or groups of them to run, with commas between
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = workload_parser())]
    workload: Vec<Wanted>,
    /// Contenders to run them under, with commas between; all if not given, the peers only if asked for
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = contender_parser())]
    contender: Vec<&'static Contender>,
    /// `peers`: the other allocators take part too; most need a C or C++ compiler
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["peers"]))]
    features: Option<String>,
    /// The folder whose text files `index` reads [default: the sources of the harness's own dependencies]
    #[arg(long, value_name = "DIR", value_parser = folder)]
    input: Option<PathBuf>,
    /// Divide every element count by N, for a quick look
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    scale: Option<u64>,
    /// How long a second of idling is, for tests that cannot wait
    #[arg(long, value_name = "MS", default_value_t = 1_000, hide = true)]
    second_ms: u64,
}

/// What is run where the command line leaves it open.
pub struct Defaults {
    pub workloads: &'static [Wanted],
    pub scale: u64,
    pub order: Order,
}

/// A name after `--workload`.
#[derive(Clone, Copy)]
pub enum Wanted {
    Workload(&'static Workload),
    Named(&'static str),
    Group(Group),
}

impl Wanted {
    fn find(name: &str) -> Option<Wanted> {
        let group = Group::ALL.into_iter().find(|group| group.name() == name);
        group.map(Wanted::Group).or_else(|| workloads::find(name).map(Wanted::Workload))
    }

    fn workloads(self) -> Vec<&'static Workload> {
        match self {
            Wanted::Workload(workload) => vec![workload],
            Wanted::Named(name) => workloads::find(name).into_iter().collect(),
            Wanted::Group(group) => group.workloads().collect(),
        }
    }
}

impl Choice {
    /// Builds what is needed for what was chosen.
    ///
    /// # Errors
    ///
    /// A sentence, if the children that are no peers do not build.
    pub fn session(
        &self,
        defaults: &Defaults,
        tally: &'static dyn Accounts,
    ) -> Result<(Session, Settings)> {
        let workloads = self.workloads(defaults);
        let mut contenders = self.contenders();
        let children = Children::build(&contenders)?;
        contenders.retain(|contender| children.can_run(contender));
        let inputs = match &self.input {
            Some(folder) => vec![folder.clone()],
            None => corpus::dependency_folders()?,
        };
        let session = Session {
            workloads,
            contenders,
            order: defaults.order,
            scale: self.scale.unwrap_or(defaults.scale),
            second_ms: self.second_ms,
            inputs,
            children,
            tally,
        };
        let settings = self.settings(&session)?;
        Ok((session, settings))
    }

    fn settings(&self, session: &Session) -> Result<Settings> {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Ok(Settings {
            workloads: session.workloads.iter().map(|it| it.name.to_owned()).collect(),
            contenders: session.contenders.iter().map(|it| it.name.to_owned()).collect(),
            left_out: names(session.children.left_out()),
            scale: session.scale,
            input: self.input.clone(),
            second_ms: session.second_ms,
            timeout_ms: u64::try_from(runner::TIMEOUT.as_millis())?,
        })
    }

    /// The workloads that were asked for, each once.
    pub fn workloads(&self, defaults: &Defaults) -> Vec<&'static Workload> {
        let asked = if self.workload.is_empty() { defaults.workloads } else { &self.workload };
        let workloads = asked.iter().flat_map(|wanted| wanted.workloads());
        each_once(workloads, |workload| workload.name)
    }

    /// The contenders that were asked for, each once.
    pub fn contenders(&self) -> Vec<&'static Contender> {
        let peers = contenders::PEERS || self.features.is_some();
        if self.contender.is_empty() {
            return contenders::unnamed(peers).collect();
        }
        each_once(self.contender.iter().copied(), |contender| contender.name)
    }
}

/// Each once, where it stands first.
fn each_once<T>(
    asked: impl Iterator<Item = &'static T>,
    name: impl Fn(&T) -> &'static str,
) -> Vec<&'static T> {
    let mut chosen: Vec<&'static T> = Vec::new();
    for one in asked {
        if !chosen.iter().any(|other| name(other) == name(one)) {
            chosen.push(one);
        }
    }
    chosen
}

fn workload_parser() -> impl TypedValueParser<Value = Wanted> {
    let groups = Group::ALL.iter().map(|group| group.name());
    let names = groups.chain(workloads::ALL.iter().map(|workload| workload.name));
    PossibleValuesParser::new(names)
        .map(|name| Wanted::find(&name).expect("clap lets only names of the table through"))
}

fn contender_parser() -> impl TypedValueParser<Value = &'static Contender> {
    let names = contenders::ALL.iter().map(|contender| PossibleValue::new(contender.name));
    let for_tests = PossibleValue::new(contenders::FAILING.name).hide(true);
    PossibleValuesParser::new(names.chain([for_tests]))
        .map(|name| contenders::find(&name).expect("clap lets only names of the table through"))
}

fn folder(path: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() { Ok(path) } else { Err("not a folder".to_owned()) }
}
