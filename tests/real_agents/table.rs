//! docs/agents.md: the table made from the recordings.
