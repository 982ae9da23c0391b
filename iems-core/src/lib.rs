//! receive → route → preprocess → queue → deliver → report.
//!
//! The messaging engine.

pub mod seam;
pub mod storage;
