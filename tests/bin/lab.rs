//! Real hosts by hand.

fn main() {}
