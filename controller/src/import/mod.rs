//! Inventories of other tools as a `fleet.toml`. Pure: text in, text out.

mod ansible;
mod ansible_ini;
mod ansible_yaml;
mod fleet_text;

pub use ansible::{ImportError, Imported, aliases, ansible};
pub use fleet_text::fleet_text;
