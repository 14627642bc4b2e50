//! Range: each topic is divided among its subscribers by itself, in runs of partitions.
//!
//! A member keeps the lowest of the partitions it had, as many as its share of the topic allows. Topics with the same number of
//! partitions and the same subscribers are divided alike as long as nobody had anything, which is what a join needs.

use super::{NOBODY, Table};

pub(super) fn assign(mut table: Table) -> Table {
    for topic in 0..table.topics.len() {
        assign_topic(&mut table, topic);
    }
    table
}

fn assign_topic(table: &mut Table, topic: usize) {
    let row = &table.topics[topic];
    let subscribers = row.subscribers.clone();
    let share = row.owners.len() / subscribers.len();
    // One more for as many as do not fit evenly; at first for those who had more than their share already.
    let mut extra = row.owners.len() % subscribers.len();

    let mut owned: Vec<Vec<usize>> = vec![Vec::new(); table.members.len()];
    for (partition, &owner) in row.owners.iter().enumerate() {
        if owner != NOBODY {
            owned[owner as usize].push(partition);
        }
    }
    let mut wanting = Vec::new();
    for &member in &subscribers {
        let owned = &owned[member as usize];
        let mut kept = owned.len().min(share);
        if owned.len() > share && extra > 0 {
            extra -= 1;
            kept += 1;
        } else {
            wanting.push((member, share - kept));
        }
        for &partition in &owned[kept..] {
            table.take(topic, partition);
        }
    }

    let mut free = 0..table.topics[topic].owners.len();
    for (member, mut missing) in wanting {
        if extra > 0 {
            extra -= 1;
            missing += 1;
        }
        for _ in 0..missing {
            let partition = free
                .find(|&partition| table.topics[topic].owners[partition] == NOBODY)
                .expect("the shares add up to the partitions there are");
            table.give(topic, partition, member);
        }
    }
}
