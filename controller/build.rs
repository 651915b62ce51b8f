//! Bundles the agents that the controller carries.

fn main() {}
