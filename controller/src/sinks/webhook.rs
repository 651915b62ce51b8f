//! Webhooks: the message as it is, and a signature over it. Pure.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the signature: `sha256=` and the hexadecimal HMAC-SHA256 of the body.
pub const SIGNATURE: &str = "x-agent-runner-signature";

/// Returns the value of the signature header for a body.
pub fn signature(key: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is one");
    mac.update(body);
    format!("sha256={}", data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        assert_eq!(
            signature(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
