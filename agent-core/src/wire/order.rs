//! The orders that qemu-ga's hash tables impose on what a client sees.
//!
//! Members of an object are written, and the members of a request checked, in the order of the
//! table that qemu-ga keeps objects in ([`bucket`]). Which of several unexpected arguments is
//! named depends on a second table, GLib's ([`Table`]).

/// The place of a key among the members of an object: ascending, and within one bucket the member
/// inserted last comes first.
pub(crate) fn bucket(key: &[u8]) -> u16 {
    let mut hash = u32::try_from(key.len()).unwrap_or(u32::MAX).wrapping_mul(0x238F_13AF);
    let mut shift = 0_u8;
    for &byte in key {
        hash = hash.wrapping_add(u32::from(byte) << shift);
        shift = shift.wrapping_add(5) % 24;
    }
    let [low, high, ..] = hash.wrapping_mul(1_103_515_243).wrapping_add(12_345).to_le_bytes();
    u16::from_le_bytes([low, high & 1])
}

/// The slots of a GLib hash table with string keys, as far as their order goes.
///
/// Open addressing with a step that grows by one. The table is rebuilt when 16/17 of it has been
/// used, and when no more than a quarter is. It is followed up to 64 slots.
pub(crate) struct Table {
    slots: [Slot; Self::LARGEST],
    size: u32,
    used: u32,
    live: u32,
}

#[derive(Clone, Copy)]
enum Slot {
    Free,
    Removed,
    Taken { hash: u32, member: u8 },
}

impl Table {
    const SMALLEST: u32 = 8;
    const LARGEST: usize = 64;

    pub(crate) const fn new() -> Self {
        Self { slots: [Slot::Free; Self::LARGEST], size: Self::SMALLEST, used: 0, live: 0 }
    }

    /// Enters a key that is not in the table yet, under a number; `false` where it outgrows the
    /// table.
    pub(crate) fn insert(&mut self, key: &[u8], member: u8) -> bool {
        let hash = string_hash(key);
        let mut place = self.home(hash);
        let mut removed = None;
        let mut step = 0;
        loop {
            match self.slot(place) {
                Slot::Free => break,
                Slot::Removed => removed = removed.or(Some(place)),
                Slot::Taken { .. } => {}
            }
            step = self.advance(&mut place, step);
        }
        self.put(removed.unwrap_or(place), Slot::Taken { hash, member });
        self.live = self.live.saturating_add(1);
        if removed.is_some() {
            return true;
        }
        self.used = self.used.saturating_add(1);
        self.rebuild_if_due()
    }

    /// Takes out the key that was entered under a number.
    pub(crate) fn remove(&mut self, member: u8) {
        let taken = |slot: &Slot| matches!(slot, Slot::Taken { member: m, .. } if *m == member);
        if let Some(slot) = self.slots.iter_mut().find(|slot| taken(slot)) {
            *slot = Slot::Removed;
            self.live = self.live.saturating_sub(1);
            // Never grows here, so it cannot outgrow.
            self.rebuild_if_due();
        }
    }

    /// The number of the first key in the order of the slots.
    pub(crate) fn first(&self) -> Option<u8> {
        self.slots.iter().find_map(|slot| match *slot {
            Slot::Taken { member, .. } => Some(member),
            Slot::Free | Slot::Removed => None,
        })
    }

    fn rebuild_if_due(&mut self) -> bool {
        let sparse = self.size > self.live.saturating_mul(4) && self.size > Self::SMALLEST;
        let full = self.size <= self.used.saturating_add(self.used / 16);
        if !sparse && !full {
            return true;
        }
        // The next power of two above 4/3 of the members.
        let wanted = self.live.saturating_mul(1333) / 1000;
        let size = wanted.saturating_add(1).next_power_of_two().max(Self::SMALLEST);
        if usize::try_from(size).is_ok_and(|size| size > Self::LARGEST) {
            return false;
        }
        self.rebuild(size);
        true
    }

    /// Moves every key to its place in a table of another size, in place: a key that is in the way
    /// of another is moved next.
    fn rebuild(&mut self, size: u32) {
        let old_size = self.size;
        self.size = size;
        self.used = self.live;
        let mut settled = 0_u64;
        for from in 0..old_size {
            if settled >> from & 1 == 1 {
                continue;
            }
            let mut moving = self.slot(from);
            self.put(from, Slot::Free);
            while let Slot::Taken { hash, .. } = moving {
                let mut place = self.home(hash);
                let mut step = 0;
                while settled >> place & 1 == 1 {
                    step = self.advance(&mut place, step);
                }
                settled |= 1 << place;
                let evicted = self.slot(place);
                self.put(place, moving);
                moving = evicted;
            }
        }
    }

    fn home(&self, hash: u32) -> u32 {
        let hash = hash.wrapping_mul(11);
        // The largest prime below each size.
        match self.size {
            ..=8 => hash % 7,
            9..=16 => hash % 13,
            17..=32 => hash % 31,
            33.. => hash % 61,
        }
    }

    fn advance(&self, place: &mut u32, step: u32) -> u32 {
        let step = step.wrapping_add(1);
        *place = place.wrapping_add(step) & self.size.wrapping_sub(1);
        step
    }

    fn slot(&self, place: u32) -> Slot {
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        self.slots.get(index).copied().unwrap_or(Slot::Free)
    }

    fn put(&mut self, place: u32, slot: Slot) {
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(kept) = self.slots.get_mut(index) {
            *kept = slot;
        }
    }
}

/// GLib's `g_str_hash`: Bernstein's hash over signed characters.
fn string_hash(key: &[u8]) -> u32 {
    let hash = key.iter().fold(5381_u32, |hash, &byte| {
        hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed()))
    });
    // The values 0 and 1 mark slots that hold no key.
    if hash < 2 { 2 } else { hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_known_keys() {
        let check = |key: &str, expected| assert_eq!(bucket(key.as_bytes()), expected, "{key}");
        check("exec-oob", 162);
        check("class", 211);
        check("execute", 299);
        check("desc", 377);
        check("return", 401);
        check("arguments", 447);
        check("id", 486);
        check("error", 489);
        check("foo", 490);
    }

    fn first(keys: &[&str]) -> usize {
        let mut table = Table::new();
        for (index, key) in keys.iter().enumerate() {
            assert!(table.insert(key.as_bytes(), index.try_into().unwrap()));
        }
        table.first().unwrap().into()
    }

    #[test]
    fn the_key_that_is_named() {
        let check = |keys: &[&str], expected| assert_eq!(keys[first(keys)], expected);
        check(&["foo", "bar"], "bar");
        check(&["bar", "foo"], "bar");
        check(&["a", "b", "c"], "b");
    }

    #[test]
    fn a_table_that_outgrows_says_so() {
        let mut table = Table::new();
        let entered = (0..200).take_while(|&n| table.insert(&[b'a', n], n)).count();
        assert!((59..64).contains(&entered), "{entered}");
        (0..60).for_each(|n| table.remove(n));
    }
}
