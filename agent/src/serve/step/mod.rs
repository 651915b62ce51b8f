//! `step`: from where the Loop is and what happened to where it is then and what has to be done. Pure and total.

mod decide;
mod judge;
mod machine;
mod round;
mod wait;

pub use machine::step;

#[cfg(test)]
mod example;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
