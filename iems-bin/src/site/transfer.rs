//! Mail in and out as files: jobs beside everything else that the site does. Whoever began one asks how far it is; one that nobody
//! asks about any more ends, and the same command goes on where it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iems_core::seam::{Clock, SystemClock};
use iems_store::directory::StoreDirectory;
use iems_store::mailbox::{AccountId, UsualMailbox};
use iems_store::transfer::{self, Format, Import, Names, Progress, TransferError};

use super::Site;
use crate::admin::transfer::{Kept, TransferAnswer, TransferOrder, Trouble};
use crate::exit::Failure;

/// Jobs at once: each reads and writes as fast as the disk goes.
const TOGETHER: usize = 4;
/// How long a job goes on that nobody asks about.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// How often is looked whether it is.
const LOOK: Duration = Duration::from_secs(1);

/// The jobs under way.
#[derive(Debug, Default)]
pub(super) struct Transfers(Mutex<Jobs>);

#[derive(Debug, Default)]
struct Jobs {
    last: u64,
    all: HashMap<u64, Arc<Job>>,
}

#[derive(Debug)]
struct Job(Mutex<State>);

#[derive(Debug)]
struct State {
    progress: Progress,
    end: Option<Result<(), Failure>>,
    asked: Instant,
}

impl Transfers {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(u64, Arc<Job>), Failure> {
        let mut jobs = self.lock();
        jobs.all.retain(|_, job| !job.is_forgotten());
        if jobs.all.len() >= TOGETHER {
            let why = format!("{TOGETHER} imports and exports are under way: wait until one has ended");
            return Err(Failure::later(why));
        }
        jobs.last += 1;
        let state = State { progress: Progress::default(), end: None, asked: Instant::now() };
        let (id, job) = (jobs.last, Arc::new(Job(Mutex::new(state))));
        jobs.all.insert(id, job.clone());
        Ok((id, job))
    }
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_forgotten(&self) -> bool {
        self.lock().asked.elapsed() > FORGOTTEN
    }

    async fn forgotten(&self) {
        while !self.is_forgotten() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How far it is; problems but the first `told`.
    fn answer(&self, id: u64, told: usize) -> TransferAnswer {
        let mut state = self.lock();
        state.asked = Instant::now();
        let ended = state.end.is_some();
        let uids = state.progress.uids.iter().filter(|_| ended).map(|uids| Kept {
            mailbox: uids.mailbox.clone(),
            kept: uids.kept,
            uid_validity: uids.validity,
            why: uids.why.clone(),
        });
        let uids = uids.collect();
        let Progress { mailbox, mailboxes, messages, octets, left_out, refused, problems, .. } =
            &state.progress;
        let problems = problems
            .iter()
            .skip(told)
            .map(|problem| Trouble { path: problem.path.display().to_string(), why: problem.why.clone() });
        TransferAnswer {
            id,
            mailbox: mailbox.clone(),
            mailboxes: *mailboxes,
            messages: *messages,
            octets: *octets,
            left_out: *left_out,
            refused: *refused,
            problems: problems.collect(),
            uids,
            ended,
            failure: state.end.clone().and_then(Result::err),
        }
    }
}

/// One job.
struct Work {
    directory: Arc<StoreDirectory>,
    account: AccountId,
    order: TransferOrder,
    format: Format,
    usual: Vec<UsualMailbox>,
}

impl Work {
    async fn run(self, job: &Job) {
        let end = tokio::select! {
            biased;
            () = job.forgotten() => Err(Failure::later("nobody asked any more")),
            done = self.done(job) => done.map_err(Failure::from),
        };
        job.lock().end = Some(end);
    }

    async fn done(&self, job: &Job) -> Result<(), TransferError> {
        let Self { directory, account, order, format, usual } = self;
        let mailboxes = directory.mailboxes();
        let mut listener = |progress: &Progress| job.lock().progress.clone_from(progress);
        let done = match order.out {
            true => {
                let place = (order.place.as_path(), *format);
                transfer::export(mailboxes, *account, order.mailbox.as_deref(), place, &mut listener).await?
            }
            false => {
                let mut import = Import::new(&order.place, *format, SystemClock.now());
                import.usual.clone_from(usual);
                import.new_uids = order.new_uids;
                import.names = Some(Names { directory, domain: order.address.domain() });
                if let Some(into) = &order.mailbox {
                    import.into = into;
                }
                transfer::import(mailboxes, *account, &import, &mut listener).await?
            }
        };
        job.lock().progress = done;
        Ok(())
    }
}

impl Site {
    /// Begins to bring mail in or out.
    pub(super) async fn transfer(&self, order: TransferOrder) -> Result<TransferAnswer, Failure> {
        let account = self.directory.account(&order.address).await?;
        let unknown = || Failure::no_user(format!("there is no account {} here", order.address));
        let account = account.ok_or_else(unknown)?.id;
        let format = order.format.parse().map_err(Failure::usage)?;
        let (id, job) = self.transfers.open()?;
        let (directory, usual) = (self.directory.clone(), self.usual.to_vec());
        let work = Work { directory, account, order, format, usual };
        let (runtime, at) = (tokio::runtime::Handle::current(), job.clone());
        // Files block.
        tokio::task::spawn_blocking(move || runtime.block_on(work.run(&at)));
        Ok(job.answer(id, 0))
    }

    /// How far it is; of its problems those that were not told.
    pub(super) fn transferred(&self, id: u64, told: usize) -> Result<TransferAnswer, Failure> {
        let mut jobs = self.transfers.lock();
        let job = jobs.all.get(&id).ok_or_else(|| {
            Failure::later("the server knows nothing of this any more: the same command again goes on")
        })?;
        let answer = job.answer(id, told);
        if answer.ended {
            jobs.all.remove(&id);
        }
        Ok(answer)
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Store(error) => error.into(),
            TransferError::File { .. } => Self::io(error),
            error => Self::data(error),
        }
    }
}
