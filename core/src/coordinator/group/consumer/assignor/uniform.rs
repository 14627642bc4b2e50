//! Uniform: every member has as many partitions as the others, give or take one, whatever topics they are of.
//!
//! Where all subscribe to the same topics that is exact. Where they do not, no partition is left with a member that has two more
//! than somebody who could have it. Never moves a partition that balance does not ask to be moved.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{NOBODY, Table};

/// Rounds over all topics at most. A round that moves nothing is the last; with topics whose subscribers overlap in a long chain a move
/// can ask for another one next to it.
const ROUNDS_MAX: usize = 32;

pub(super) fn assign(table: Table) -> Table {
    if table.members.is_empty() {
        table
    } else if table.homogeneous {
        assign_same_topics(table)
    } else {
        assign_different_topics(table)
    }
}

/// All subscribe to the same topics: everybody's share is known beforehand.
fn assign_same_topics(mut table: Table) -> Table {
    let members = table.members.len();
    let partitions: usize = table.topics.iter().map(|row| row.owners.len()).sum();
    let share = u32::try_from(partitions / members).unwrap_or(u32::MAX);
    let mut extra = partitions % members;
    let mut shares = vec![share; members];
    // One more each for as many as do not fit evenly: whoever has more already keeps it, then the first ones.
    for wanted in [true, false] {
        for (own, &count) in shares.iter_mut().zip(&table.counts) {
            if extra > 0 && (count > share) == wanted && *own == share {
                *own += 1;
                extra -= 1;
            }
        }
    }

    // What is above a share goes, from the end: the last partitions of the last topics.
    for topic in (0..table.topics.len()).rev() {
        for partition in (0..table.topics[topic].owners.len()).rev() {
            let owner = table.topics[topic].owners[partition];
            if owner != NOBODY && table.count(owner) > shares[owner as usize] {
                table.take(topic, partition);
            }
        }
    }

    let mut member = 0;
    for topic in 0..table.topics.len() {
        for partition in 0..table.topics[topic].owners.len() {
            if table.topics[topic].owners[partition] != NOBODY {
                continue;
            }
            while table.count(member) >= shares[member as usize] {
                member += 1;
            }
            table.give(topic, partition, member);
        }
    }
    table
}

/// Subscriptions differ: topics with few subscribers first, each partition to whoever has least; then moves, until none helps.
fn assign_different_topics(mut table: Table) -> Table {
    let mut order: Vec<usize> = (0..table.topics.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&table.topics[a], &table.topics[b]);
        // Partitions per subscriber, the most first, without dividing.
        let (a_load, b_load) = (
            a.owners.len() as u64 * b.subscribers.len() as u64,
            b.owners.len() as u64 * a.subscribers.len() as u64,
        );
        b_load
            .cmp(&a_load)
            .then(a.subscribers.len().cmp(&b.subscribers.len()))
            .then(a.id.cmp(&b.id))
    });

    for &topic in &order {
        let mut receivers = receivers(&table, topic);
        for partition in 0..table.topics[topic].owners.len() {
            if table.topics[topic].owners[partition] == NOBODY {
                let Reverse((_, member)) = receivers.pop().expect("a topic here has a subscriber");
                table.give(topic, partition, member);
                receivers.push(Reverse((table.count(member), member)));
            }
        }
    }
    for _ in 0..ROUNDS_MAX {
        let moved: usize = order
            .iter()
            .map(|&topic| balance_topic(&mut table, topic))
            .sum();
        if moved == 0 {
            break;
        }
    }
    table
}

/// The subscribers of a topic, whoever has least on top.
fn receivers(table: &Table, topic: usize) -> BinaryHeap<Reverse<(u32, u32)>> {
    let subscribers = table.topics[topic].subscribers.iter();
    subscribers
        .map(|&member| Reverse((table.count(member), member)))
        .collect()
}

/// Moves partitions of the topic from whoever has most to whoever has least, as long as they differ by two. Says how many moved.
fn balance_topic(table: &mut Table, topic: usize) -> usize {
    let row = &table.topics[topic];
    let counts = row.subscribers.iter().map(|&member| table.count(member));
    let (least, most) = counts.fold((u32::MAX, 0), |(least, most), count| {
        (least.min(count), most.max(count))
    });
    if most <= least.saturating_add(1) {
        return 0;
    }

    let mut owned: Vec<Vec<usize>> = vec![Vec::new(); table.members.len()];
    for (partition, &owner) in row.owners.iter().enumerate() {
        owned[owner as usize].push(partition);
    }
    let mut donors: BinaryHeap<(u32, Reverse<u32>)> = row
        .subscribers
        .iter()
        .filter(|&&member| !owned[member as usize].is_empty())
        .map(|&member| (table.count(member), Reverse(member)))
        .collect();
    let mut receivers = receivers(table, topic);

    let mut moved = 0;
    while let (Some((most, Reverse(donor))), Some(&Reverse((least, receiver)))) =
        (donors.pop(), receivers.peek())
    {
        // A donor among the receivers stands there with what it had before it gave; nobody with less is hidden by that, since it
        // was the one with most.
        if most <= least + 1 {
            break;
        }
        let partition = owned[donor as usize]
            .pop()
            .expect("a donor has a partition to give");
        table.give(topic, partition, receiver);
        moved += 1;
        receivers.pop();
        receivers.push(Reverse((least + 1, receiver)));
        if !owned[donor as usize].is_empty() {
            donors.push((most - 1, Reverse(donor)));
        }
    }
    moved
}
