//! The harness for real hosts.
