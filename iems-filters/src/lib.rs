//! The judges: modules that inspect a message and record what they find.
