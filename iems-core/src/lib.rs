//! receive → route → preprocess → queue → deliver → report.
//!
//! The messaging engine.

pub mod message;

pub mod receive;

pub mod preprocess;

pub mod deliver;

pub mod storage;

pub mod seam;

mod engine;
