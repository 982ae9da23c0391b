//! Tests of the engine as a whole.

mod ahead;
mod alone;
mod conform;
mod costs;
mod crash;
mod damage;
mod faults;
mod folder;
mod full;
mod layers;
mod model;
mod together;
mod world;
