use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn partition(topic_number: u128, partition: i32) -> TopicPartition {
    TopicPartition {
        topic_id: topic(topic_number),
        partition,
    }
}

/// The topics a member subscribes to, and what it had.
type Given<'a> = (&'a [u128], &'a [(u128, i32)]);

/// Members `m0`, `m1`, ...
fn group(counts: &[i32], members: &[Given<'_>]) -> GroupSpec {
    let member = |(number, (subscribed, assigned)): (usize, &Given<'_>)| {
        let spec = MemberSpec {
            instance_id: None,
            subscribed: Arc::new(subscribed.iter().copied().map(topic).collect()),
            assigned: assigned.iter().map(|&(t, p)| partition(t, p)).collect(),
        };
        (Arc::from(format!("m{number}")), spec)
    };
    GroupSpec {
        members: members.iter().enumerate().map(member).collect(),
        partition_counts: (1..).map(topic).zip(counts.iter().copied()).collect(),
    }
}

#[track_caller]
fn check(assignor: Assignor, group: &GroupSpec, expected: &[&[(u128, i32)]]) {
    let assigned = assignor.assign(group);
    let assigned: Vec<Assignment> = assigned.into_values().collect();
    let expected: Vec<Assignment> = expected
        .iter()
        .map(|partitions| partitions.iter().map(|&(t, p)| partition(t, p)).collect())
        .collect();
    assert_eq!(assigned, expected);
}

#[test]
fn range_divides_topics_alike() {
    let spec = group(&[3, 3], &[(&[1, 2], &[]), (&[1, 2], &[])]);
    let expected: [&[(u128, i32)]; 2] = [&[(1, 0), (1, 1), (2, 0), (2, 1)], &[(1, 2), (2, 2)]];
    check(Assignor::Range, &spec, &expected);
}

#[test]
fn uniform_evens_out_over_topics() {
    let spec = group(&[3, 3], &[(&[1, 2], &[]), (&[1, 2], &[])]);
    let expected: [&[(u128, i32)]; 2] = [&[(1, 0), (1, 1), (1, 2)], &[(2, 0), (2, 1), (2, 2)]];
    check(Assignor::Uniform, &spec, &expected);
}

#[test]
fn a_newcomer_gets_its_share_and_nothing_else_moves() {
    let all: &[(u128, i32)] = &[(1, 0), (1, 1), (1, 2), (1, 3)];
    let spec = group(&[4], &[(&[1], all), (&[1], &[])]);
    for assignor in Assignor::ALL {
        check(assignor, &spec, &[&all[..2], &all[2..]]);
    }
}

#[test]
fn whoever_has_the_odd_partition_keeps_it() {
    let spec = group(&[3], &[(&[1], &[(1, 0)]), (&[1], &[(1, 1), (1, 2)])]);
    for assignor in Assignor::ALL {
        check(assignor, &spec, &[&[(1, 0)], &[(1, 1), (1, 2)]]);
    }
}

#[test]
fn what_is_not_subscribed_to_or_not_there_goes() {
    let spec = group(&[1, 1], &[(&[1, 9], &[(1, 0), (1, 5), (2, 0), (9, 0)])]);
    for assignor in Assignor::ALL {
        check(assignor, &spec, &[&[(1, 0)]]);
    }
}

#[test]
fn different_subscriptions_are_evened_out_as_far_as_they_overlap() {
    // m0 can have topic 1 alone, m1 both: it has all of topic 2 and nothing of topic 1.
    let had: &[(u128, i32)] = &[(1, 0), (1, 1), (2, 0), (2, 1)];
    let spec = group(&[2, 2], &[(&[1], &[]), (&[1, 2], had)]);
    check(
        Assignor::Uniform,
        &spec,
        &[&[(1, 0), (1, 1)], &[(2, 0), (2, 1)]],
    );
}

#[test]
fn a_group_of_nobody_or_nothing_is_no_trouble() {
    for assignor in Assignor::ALL {
        check(assignor, &GroupSpec::default(), &[]);
        check(
            assignor,
            &group(&[2], &[(&[], &[]), (&[7], &[])]),
            &[&[], &[]],
        );
        check(assignor, &group(&[0], &[(&[1], &[])]), &[&[]]);
    }
}

#[test]
fn static_members_keep_their_place_whatever_their_id_is() {
    let mut spec = group(&[2], &[(&[1], &[]), (&[1], &[])]);
    spec.members.get_mut("m1").unwrap().instance_id = Some("a".into());
    for assignor in Assignor::ALL {
        check(assignor, &spec, &[&[(1, 1)], &[(1, 0)]]);
    }
}

fn any_group(same_topics: bool) -> impl Strategy<Value = GroupSpec> {
    let counts = proptest::collection::vec(0..9_i32, 1..6);
    let member = (
        proptest::collection::vec(any::<bool>(), 6),
        proptest::collection::vec((1..7_u128, 0..10_i32), 0..12),
        any::<bool>(),
    );
    (counts, proptest::collection::vec(member, 1..9)).prop_map(move |(counts, members)| {
        let first = members[0].0.clone();
        let members = members.into_iter().enumerate();
        let members = members.map(|(number, (wanted, assigned, is_static))| {
            let wanted = if same_topics { first.clone() } else { wanted };
            let subscribed = (1..).zip(wanted).filter(|(_, wanted)| *wanted);
            let spec = MemberSpec {
                instance_id: is_static.then(|| format!("i{number}").into()),
                subscribed: Arc::new(subscribed.map(|(number, _)| topic(number)).collect()),
                assigned: assigned.into_iter().map(|(t, p)| partition(t, p)).collect(),
            };
            (Arc::from(format!("m{number}")), spec)
        });
        GroupSpec {
            members: members.collect(),
            partition_counts: (1..).map(topic).zip(counts).collect(),
        }
    })
}

fn any_any_group() -> impl Strategy<Value = GroupSpec> {
    any::<bool>().prop_flat_map(any_group)
}

fn subscribers(group: &GroupSpec, id: TopicId) -> Vec<&Arc<str>> {
    let members = group.members.iter();
    let subscribers = members.filter(|(_, member)| member.subscribed.contains(&id));
    subscribers.map(|(member, _)| member).collect()
}

/// The group after the assignment.
fn settled(group: &GroupSpec, assignor: Assignor) -> GroupSpec {
    let mut next = group.clone();
    for (id, assigned) in assignor.assign(group) {
        next.members.get_mut(&id).expect("a member").assigned = assigned;
    }
    next
}

/// How many partitions stay with whom they were with, as far as that one still subscribes; of two with the same one, the first.
fn kept(before: &GroupSpec, after: &BTreeMap<Arc<str>, Assignment>) -> usize {
    let count = |(id, member): (&Arc<str>, &MemberSpec)| {
        let assigned = member.assigned.partitions();
        assigned.filter(|p| after[id].contains(*p)).count()
    };
    before.members.iter().map(count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_partition_is_with_exactly_one_subscriber(group in any_any_group()) {
        for assignor in Assignor::ALL {
            let assigned = assignor.assign(&group);
            prop_assert_eq!(assigned.len(), group.members.len());
            for (&id, &count) in &group.partition_counts {
                let subscribers = subscribers(&group, id);
                for number in 0..count {
                    let one = TopicPartition { topic_id: id, partition: number };
                    let owners: Vec<_> = assigned.iter().filter(|(_, a)| a.contains(one)).collect();
                    prop_assert_eq!(owners.len(), usize::from(!subscribers.is_empty()));
                    prop_assert!(owners.iter().all(|(member, _)| subscribers.contains(member)));
                }
            }
            let total: usize = assigned.values().map(Assignment::len).sum();
            let there = group.partition_counts.iter();
            let there = there.filter(|(id, _)| !subscribers(&group, **id).is_empty());
            prop_assert_eq!(total, there.map(|(_, count)| *count as usize).sum::<usize>());
        }
    }

    #[test]
    fn range_divides_each_topic_evenly(group in any_any_group()) {
        let assigned = Assignor::Range.assign(&group);
        for &id in group.partition_counts.keys() {
            let shares = subscribers(&group, id).into_iter();
            let shares: Vec<usize> = shares
                .map(|member| assigned[member].topic(id).map_or(0, BTreeSet::len))
                .collect();
            if let (Some(least), Some(most)) = (shares.iter().min(), shares.iter().max()) {
                prop_assert!(most - least <= 1, "{:?}", shares);
            }
        }
    }

    #[test]
    fn uniform_is_even_where_all_subscribe_alike(group in any_group(true)) {
        let assigned = Assignor::Uniform.assign(&group);
        let sizes = assigned.values().map(Assignment::len);
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        prop_assert!(most - least <= 1);
    }

    #[test]
    fn uniform_leaves_no_partition_that_would_be_better_elsewhere(group in any_group(false)) {
        let assigned = Assignor::Uniform.assign(&group);
        for (owner, assignment) in &assigned {
            for (id, _) in assignment.topics() {
                for other in subscribers(&group, id) {
                    prop_assert!(assignment.len() <= assigned[other].len() + 1, "{} and {}", owner, other);
                }
            }
        }
    }

    #[test]
    fn an_assignment_that_is_good_stays(group in any_any_group()) {
        for assignor in Assignor::ALL {
            let settled = settled(&group, assignor);
            let again = assignor.assign(&settled);
            let before = settled.members.iter().map(|(id, member)| (Arc::clone(id), member.assigned.clone()));
            prop_assert_eq!(again, before.collect::<BTreeMap<_, _>>());
        }
    }

    #[test]
    fn a_member_that_stays_keeps_what_balance_allows(group in any_group(true), leaver in 0..9_usize) {
        let mut settled = settled(&group, Assignor::Uniform);
        let before = settled.clone();
        if let Some(id) = before.members.keys().nth(leaver)
            && before.members.len() > 1
        {
            settled.members.remove(id);
            let after = Assignor::Uniform.assign(&settled);
            // Nobody's share shrinks when one leaves: all keep all.
            for (id, member) in &settled.members {
                prop_assert!(member.assigned.is_subset(&after[id]));
            }
        }

        // When one joins, only what it gets moves.
        let mut grown = before.clone();
        let newcomer = MemberSpec {
            subscribed: Arc::clone(&before.members["m0"].subscribed),
            ..MemberSpec::default()
        };
        grown.members.insert("new".into(), newcomer);
        let after = Assignor::Uniform.assign(&grown);
        let total: usize = before.members.values().map(|member| member.assigned.len()).sum();
        prop_assert_eq!(kept(&grown, &after), total - after["new"].len());
    }

    #[test]
    fn partitions_that_are_added_move_nothing_under_uniform(group in any_group(true), added in 1..4_i32) {
        let mut settled = settled(&group, Assignor::Uniform);
        for count in settled.partition_counts.values_mut() {
            *count += added;
        }
        let after = Assignor::Uniform.assign(&settled);
        for (id, member) in &settled.members {
            prop_assert!(member.assigned.is_subset(&after[id]));
        }
    }

    #[test]
    fn the_same_group_has_the_same_assignment(group in any_any_group()) {
        for assignor in Assignor::ALL {
            prop_assert_eq!(assignor.assign(&group), assignor.assign(&group.clone()));
        }
    }
}
