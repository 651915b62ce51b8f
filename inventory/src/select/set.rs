//! Sets of hosts as bits: every operation costs a 64th of the inventory, whatever the sets hold.

/// A set of host numbers below a fixed size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostSet {
    words: Vec<u64>,
    size: usize,
}

impl HostSet {
    pub(super) fn none(size: usize) -> Self {
        Self { words: vec![0; size.div_ceil(64)], size }
    }

    pub(super) fn all(size: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; size.div_ceil(64)], size };
        let over = set.words.len() * 64 - size;
        if let Some(last) = set.words.last_mut() {
            *last >>= over;
        }
        set
    }

    pub(super) fn insert(&mut self, id: u32) {
        if let Some(word) = self.words.get_mut(id as usize / 64) {
            *word |= 1 << (id % 64);
        }
    }

    pub(super) fn extend(&mut self, ids: impl IntoIterator<Item = u32>) {
        ids.into_iter().for_each(|id| self.insert(id));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.zip(other, |own, other| own | other);
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.zip(other, |own, other| own & other);
    }

    pub(super) fn remove(&mut self, other: &Self) {
        self.zip(other, |own, other| own & !other);
    }

    fn zip(&mut self, other: &Self, merge: fn(u64, u64) -> u64) {
        for (own, other) in self.words.iter_mut().zip(&other.words) {
            *own = merge(*own, *other);
        }
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
