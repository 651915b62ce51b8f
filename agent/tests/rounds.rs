//! The `round` verb against real processes, real git and scripted `sh` agents.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod round;
