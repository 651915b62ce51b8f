//! Writing for another account: as root into a folder that account owns, the kernel checks each path as that account.

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::desired::Rights;
use crate::service::{Account, Acting};

/// Does some file work with the rights it shall have.
pub(super) fn with_rights<T>(rights: Rights, owner: &Account, work: impl FnOnce() -> T) -> T {
    match rights {
        Rights::Project => with_rights_of(owner, work),
        Rights::Acting => work(),
    }
}

/// Does some file work with an account's rights: when root acts for it, new files are the account's, and a link it has
/// put in the way leads root nowhere it could not go itself.
pub(crate) fn with_rights_of<T>(account: &Account, work: impl FnOnce() -> T) -> T {
    match account.acting {
        Acting::Itself => work(),
        Acting::RootFor => {
            let _restored = Restore { uid: setfsuid_after(account), gid: Gid::from_raw(0) };
            work()
        }
    }
}

fn setfsuid_after(account: &Account) -> Uid {
    // The group first: afterwards we may not.
    setfsgid(Gid::from_raw(account.gid));
    setfsuid(Uid::from_raw(account.uid));
    Uid::from_raw(0)
}

struct Restore {
    uid: Uid,
    gid: Gid,
}

impl Drop for Restore {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
    }
}
