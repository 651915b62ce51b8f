//! Which boot of the host this is.

use super::Root;

/// Returns the kernel's random id of this boot; a reboot changes it.
pub fn boot_id(root: &Root) -> Option<String> {
    let text = root.read("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_of_this_host_has_an_id_that_stays() {
        let id = boot_id(&Root::default());
        assert_eq!(id.as_ref().map(String::len), Some(36));
        assert_eq!(id, boot_id(&Root::default()));
    }

    #[test]
    fn a_host_without_proc_has_none() {
        assert_eq!(boot_id(&Root::at("/nonexistent")), None);
    }
}
