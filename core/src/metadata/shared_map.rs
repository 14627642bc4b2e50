//! A map of which copies share what they have not changed: a fixed number of buckets, each behind an `Arc`.
//!
//! Never copies more than the table of buckets and one bucket for a change. With 100,000 entries a bucket holds about 400.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// The root of the greatest size foreseen, so that neither the table nor a bucket is long.
const BUCKET_COUNT: usize = 256;

type Bucket<K, V> = FxHashMap<K, V>;

#[derive(Clone, Debug)]
pub(super) struct SharedMap<K, V> {
    buckets: Arc<Vec<Arc<Bucket<K, V>>>>,
    length: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Bucket::default());
        Self {
            buckets: Arc::new(vec![empty; BUCKET_COUNT]),
            length: 0,
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> SharedMap<K, V> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.buckets[bucket_index(key)].get(key)
    }

    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Looked up first: a key that is not there must not copy its bucket.
        self.get(key)?;
        self.bucket_mut(key).get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let replaced = self.bucket_mut(&key).insert(key, value);
        self.length += usize::from(replaced.is_none());
        replaced
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        let removed = self.bucket_mut(key).remove(key);
        self.length -= usize::from(removed.is_some());
        removed
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.buckets.iter().flat_map(|bucket| bucket.values())
    }

    /// The buckets in which `self` and `older` may differ, as pairs: one that is shared is skipped without a look into it.
    pub(super) fn changed_buckets<'a>(
        &'a self,
        older: &'a Self,
    ) -> impl Iterator<Item = (&'a Bucket<K, V>, &'a Bucket<K, V>)> {
        let all_shared = Arc::ptr_eq(&self.buckets, &older.buckets);
        let pairs = self.buckets.iter().zip(older.buckets.iter());
        pairs
            .take(if all_shared { 0 } else { BUCKET_COUNT })
            .filter(|(new, old)| !Arc::ptr_eq(new, old))
            .map(|(new, old)| (new.as_ref(), old.as_ref()))
    }

    fn bucket_mut<Q: Hash + ?Sized>(&mut self, key: &Q) -> &mut Bucket<K, V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.buckets)[bucket_index(key)])
    }
}

/// From bits of the hash that the bucket's own table hardly uses: it takes the lowest and the highest.
fn bucket_index<Q: Hash + ?Sized>(key: &Q) -> usize {
    let hash = FxBuildHasher.hash_one(key);
    usize::try_from(hash >> 40 & (BUCKET_COUNT as u64 - 1)).expect("masked to 256 values")
}

const _: () = assert!(BUCKET_COUNT.is_power_of_two(), "the mask needs it");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_spread_over_the_buckets() {
        let mut map = SharedMap::default();
        for number in 0..100_000_u32 {
            map.insert(format!("topic-{number}"), number);
        }
        let longest = map.buckets.iter().map(|bucket| bucket.len()).max();
        assert!(longest.unwrap() < 600, "{longest:?}");
        let older = map.clone();
        map.insert("topic-7".to_owned(), 0);
        assert_eq!(map.changed_buckets(&older).count(), 1);
        assert_eq!(older.get("topic-7"), Some(&7));
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_and_copies_keep_their_entries(
            steps in proptest::collection::vec((0u8..40, prop::option::of(any::<u16>())), 0..200),
            split in 0usize..200,
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            let mut kept = (map.clone(), model.clone());
            for (number, (key, value)) in steps.into_iter().enumerate() {
                if number == split {
                    kept = (map.clone(), model.clone());
                }
                match value {
                    Some(value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    None => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
            }
            for (map, model) in [(map, model), kept] {
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.values().count(), model.len());
                for key in 0..40 {
                    prop_assert_eq!(map.get(&key), model.get(&key));
                }
            }
        }
    }
}
