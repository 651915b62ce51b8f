//! A person holds the host still: the deploy's own lock, with a reason and an end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::World;
use super::lock::{self, Owner, Taken};
use super::manifest::{By, Hold, MANIFEST_VERSION, Scope};
use super::run::{self, Error};
use super::{audit, revert, stage};

/// The answer of `apply --lock` and `apply --unlock` on stdout, one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The manifest version the answer is written for.
    pub hold: u32,
    /// Whether it is as was asked for.
    pub done: bool,
    /// Whose the lock is now, or was until it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Whose lock may be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// One that a person took.
    APersons,
    /// Also one that a deploy took, which may be dead or at work.
    Anybodys,
}

impl Held {
    /// Says it to a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let owner = self.owner.as_ref().map(ToString::to_string);
        match (self.done, owner) {
            (_, None) => "nobody holds it".to_owned(),
            (true, Some(owner)) => owner,
            (false, Some(owner)) => format!("refused: {owner}"),
        }
    }
}

/// Takes the lock. Whoever has it already keeps it, unless it is a deploy that died with it; the same run takes it anew.
///
/// # Errors
/// When our own state cannot be written.
pub fn lock(world: &World, hold: &Hold) -> Result<Held, Error> {
    let places = world.places(Scope::User);
    let state = |source| run::state(&places, source);
    let _operation = revert::operation(&places).map_err(state)?;
    stage::make_state(&places).map_err(state)?;
    let now = Timestamp::now();
    let owner = Owner { reason: Some(hold.reason.clone()), ..Owner::new(&hold.by, now, hold.ttl_s) };
    let path = places.deploy_lock();
    let mut taken = lock::take(&path, &owner, now).map_err(state)?;
    if let Taken::Held(holder) = &taken
        && run::is_dead(&places, holder).map_err(state)?
    {
        lock::break_open(&path).map_err(state)?;
        taken = lock::take(&path, &owner, now).map_err(state)?;
    }
    match taken {
        Taken::Held(holder) => Ok(held(false, Some(holder))),
        Taken::Ours => {
            let entry = audit::Entry {
                detail: hold.reason.clone(),
                ..audit::Entry::now(&hold.by, "", audit::Result::Locked)
            };
            audit::append(&places, &entry).map_err(state)?;
            Ok(held(true, Some(owner)))
        }
    }
}

/// Gives the lock back.
///
/// # Errors
/// When our own state cannot be written.
pub fn unlock(world: &World, by: &By, whose: Whose) -> Result<Held, Error> {
    let places = world.places(Scope::User);
    let state = |source| run::state(&places, source);
    let Some(owner) = lock::read(&places.deploy_lock()) else { return Ok(held(true, None)) };
    if owner.reason.is_none() && whose == Whose::APersons {
        return Ok(held(false, Some(owner)));
    }
    let _operation = revert::operation(&places).map_err(state)?;
    lock::break_open(&places.deploy_lock()).map_err(state)?;
    let entry =
        audit::Entry { detail: owner.to_string(), ..audit::Entry::now(by, "", audit::Result::Unlocked) };
    audit::append(&places, &entry).map_err(state)?;
    Ok(held(true, Some(owner)))
}

fn held(done: bool, owner: Option<Owner>) -> Held {
    Held { hold: MANIFEST_VERSION, done, owner }
}
