//! The settings that OpenSSH's own client configuration gives a host.
