//! One view of the fleet: every host's stream folded into one state, with alerts and the stops they ask for.

pub mod state;

pub mod brake;
pub mod fold;

pub mod auto_stop;
pub mod streams;
pub mod watch;
