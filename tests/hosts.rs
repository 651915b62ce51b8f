//! Tests on real hosts.
