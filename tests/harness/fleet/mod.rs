//! The controller as an operator has it: a home of its own with an inventory, project files and SSH
//! configuration, and runs of the real program in it. And the project as its hosts have it.

mod controller;
mod lab_fleet;
mod on_host;
mod project;
mod running;

pub use controller::Controller;
pub use lab_fleet::lab_fleet;
pub use project::{CONFIG, PROMPT};
pub use running::Running;
