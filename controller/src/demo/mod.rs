//! The whole job on three throw-away hosts inside this process: real SSH, real commands, a scripted agent.

pub mod hosts;
pub mod story;
