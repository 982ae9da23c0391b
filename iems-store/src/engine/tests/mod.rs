//! Tests of the engine as a whole.

mod conform;
mod crash;
mod faults;
mod model;
mod world;
