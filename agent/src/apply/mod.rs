//! Desired state in, report out: how a controller brings a host to a manifest.
//!
//! The manifest and the facts give a plan (pure); the plan is switched by renames under a durable record of how to put
//! everything back, which a guard process, `serve`'s start or the next apply executes unless the switch is confirmed.

pub mod manifest;
pub mod report;

mod desired;
mod diff;
mod plan;
mod validate;

mod facts;
mod ground;
mod places;
mod repo;

mod audit;
mod lock;
mod midround;
mod owner;
mod pending;
mod release;

mod services;
mod stage;
mod switch;
mod verdict;

mod guard;
mod run;

mod candidate;
mod upgrade;

mod hold;
mod rollback;

pub mod newer;
pub mod revert;

pub use candidate::CandidateError;
pub use facts::World;
pub use guard::{GuardError, guard};
pub use hold::{Held, Whose, lock, unlock};
pub use lock::Owner;
pub(crate) use owner::with_rights_of;
pub use places::Places;
pub use rollback::{check as check_rollback, rollback};
pub use run::{Error, apply, check, confirm, revert as revert_now};
pub use upgrade::{Begun, Request, UpgradeError, upgrade};
