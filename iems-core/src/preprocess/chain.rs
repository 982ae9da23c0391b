//! The chain: which modules run on which flow, and the running of them within bounds.

use std::sync::Arc;
use std::time::Duration;

use super::{Cell, Findings, Matrix, Preprocessor, Stage, Subject};
use crate::message::{ChannelId, CheckResult, Verdict};
use crate::seam::Clock;

/// How long one module may take at one stage.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registered module.
pub(crate) struct Module {
    pub(crate) preprocessor: Arc<dyn Preprocessor>,
    pub(crate) matrix: Matrix,
}

/// A verdict and the module (by position) that found it.
pub(crate) type Found = (usize, Verdict);

/// All modules, in the order of registration.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) modules: Vec<Module>,
}

impl Chain {
    /// Positions of the modules that run on a flow.
    pub(crate) fn on_flow(&self, input: &ChannelId, output: &ChannelId) -> Vec<usize> {
        let mut running = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            let chosen = match module.matrix.at(input, output) {
                Cell::Run => Some(at),
                Cell::Skip => None,
                Cell::RunAs(id) => self.modules.iter().position(|m| m.preprocessor.id() == id),
            };
            running.extend(chosen.filter(|at| !running.contains(at)));
        }
        running
    }

    /// Whether any module wants `stage`.
    pub(crate) fn wants(&self, stage: Stage) -> bool {
        self.modules.iter().any(|m| m.preprocessor.stages().contains(&stage))
    }

    /// Runs module `at`. One that does not answer in time counts as a temporary error.
    pub(crate) async fn run(&self, at: usize, subject: &Subject<'_>, clock: &dyn Clock) -> Findings {
        let module = &self.modules[at].preprocessor;
        if !module.stages().contains(&subject.stage) {
            return Findings::default();
        }
        tokio::select! {
            biased;
            findings = module.inspect(subject) => findings,
            () = clock.sleep(PATIENCE) => {
                let evidence = format!("no answer within {} s", PATIENCE.as_secs());
                let check = module.id().to_owned();
                Findings { verdicts: vec![Verdict { check, result: CheckResult::TempError, score: 0.0, evidence }], edits: Vec::new() }
            }
        }
    }
}
