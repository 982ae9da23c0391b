//! receive → route → preprocess → queue → deliver → report.
//!
//! The messaging engine of IEMS. A message comes in through [`receive::Intake`], is routed by
//! [`route`] and a [`seam::Directory`], judged by [`preprocess`] modules, made durable in [`queue`], carried
//! out by the channels and agents of [`deliver`], and [`report`] tells what became of it. All of it stands
//! on the two contracts of [`storage`].
//!
//! This crate opens no socket and no file, and knows no protocol by name; time, randomness, names,
//! connections and storage are passed in through [`seam`]. It has no global state: several engines
//! live in one process.
//!
//! Where to begin: [`Engine::builder`], then the traits [`deliver::Channel`],
//! [`preprocess::Preprocessor`] and [`deliver::DeliveryAgent`].

pub mod message;

pub mod receive;

pub mod route;

pub mod preprocess;

pub mod queue;

pub mod deliver;

pub mod report;

pub mod storage;

pub mod health;

pub mod limits;

pub mod seam;

#[cfg(feature = "sim")]
pub mod sim;

mod engine;
mod settings;

pub use engine::{BuildError, Builder, Engine};
pub use settings::Settings;
