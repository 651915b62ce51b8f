//! Sets of hosts as bits. An operation costs what it is given; only making a set, emptying it and listing its members cost
//! a 64th of the inventory.

/// A set of host numbers below a fixed size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostSet {
    words: Vec<u64>,
}

impl HostSet {
    pub(super) fn none(size: usize) -> Self {
        Self { words: vec![0; size.div_ceil(64)] }
    }

    pub(super) fn all(size: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; size.div_ceil(64)] };
        let over = set.words.len() * 64 - size;
        if let Some(last) = set.words.last_mut() {
            *last >>= over;
        }
        set
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn add(&mut self, ids: &[u32]) {
        for id in ids {
            if let Some(word) = self.words.get_mut(*id as usize / 64) {
                *word |= 1 << (id % 64);
            }
        }
    }

    pub(super) fn remove(&mut self, ids: &[u32]) {
        for id in ids {
            if let Some(word) = self.words.get_mut(*id as usize / 64) {
                *word &= !(1 << (id % 64));
            }
        }
    }

    pub(super) fn keep(&mut self, ids: &[u32]) {
        let both: Vec<u32> = ids.iter().copied().filter(|id| self.contains(*id)).collect();
        self.words.fill(0);
        self.add(&both);
    }

    fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    /// The members in ascending order.
    pub(super) fn members(&self) -> Vec<u32> {
        let mut members = Vec::new();
        for (base, word) in (0u32..).step_by(64).zip(&self.words) {
            let mut left = *word;
            while left != 0 {
                members.push(base + left.trailing_zeros());
                left &= left - 1;
            }
        }
        members
    }
}
