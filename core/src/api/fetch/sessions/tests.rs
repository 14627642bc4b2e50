use rinka_net::wire::fetch::{FetchTopic, ForgottenTopic};

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
    let partitions = partitions.iter().map(|&partition| FetchPartition {
        partition,
        partition_max_bytes: 100,
        ..Default::default()
    });
    FetchRequest {
        session_id,
        session_epoch,
        topics: vec![FetchTopic {
            topic: Text::from("t"),
            partitions: partitions.collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn nothing_to_fetch(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest {
        session_id,
        session_epoch,
        ..Default::default()
    }
}

fn told(high_watermark: i64, bytes: usize) -> Told {
    Told {
        high_watermark,
        log_start: 0,
        bytes,
        failed: false,
    }
}

fn partitions(wanted: &[Wanted]) -> Vec<i32> {
    wanted.iter().map(|wanted| wanted.partition).collect()
}

/// A session with partitions 0 to 2 of which nothing is known but a high watermark of 5.
fn with_session(sessions: &mut Sessions, id: i32, now: Duration) -> i32 {
    let (standing, wanted) = sessions
        .begin(&request(0, INITIAL_EPOCH, &[0, 1, 2]), false, now)
        .expect("a full request");
    let answer = sessions.end(standing, &wanted, &[told(5, 0); 3], id, now);
    answer.expect("a full answer").session_id
}

#[test]
fn only_what_changed_is_asked_and_told() {
    let mut sessions = Sessions::new(10);
    assert_eq!(with_session(&mut sessions, 7, NOW), 7);
    let (standing, wanted) = sessions
        .begin(&nothing_to_fetch(7, 1), false, NOW)
        .expect("the next one");
    assert_eq!(partitions(&wanted), [0, 1, 2]);
    let answer = sessions.end(
        standing,
        &wanted,
        &[told(5, 0), told(6, 10), told(6, 0)],
        8,
        NOW,
    );
    let expected = Answer {
        session_id: 7,
        include: vec![false, true, true],
    };
    assert_eq!(answer, Ok(expected));
    // Partition 1 had records: it is last now, and nothing is news.
    let (standing, wanted) = sessions
        .begin(&nothing_to_fetch(7, 2), false, NOW)
        .expect("the next one");
    assert_eq!(partitions(&wanted), [0, 2, 1]);
    let told_again = [told(5, 0), told(6, 0), told(6, 0)];
    let answer = sessions.end(standing, &wanted, &told_again, 8, NOW);
    assert_eq!(answer.expect("in order").include, [false; 3]);
    // A new offset for one, one more, one forgotten.
    let mut change = request(7, 3, &[0, 9]);
    change.topics[0].partitions[0].fetch_offset = 44;
    change.forgotten_topics_data = vec![ForgottenTopic {
        topic: Text::from("t"),
        partitions: vec![1],
        ..Default::default()
    }];
    let (_, wanted) = sessions.begin(&change, false, NOW).expect("the next one");
    assert_eq!(partitions(&wanted), [0, 2, 9]);
    assert_eq!(wanted[0].offset, Offset(44));
    assert_eq!((sessions.len(), sessions.partitions()), (1, 3));
}

#[test]
fn an_error_is_told_and_so_is_its_end() {
    let mut sessions = Sessions::new(10);
    with_session(&mut sessions, 7, NOW);
    let failed = Told {
        failed: true,
        ..told(-1, 0)
    };
    for (epoch, of_first, include) in [
        (1, failed, true),
        (2, failed, true),
        (3, told(5, 0), true),
        (4, told(5, 0), false),
    ] {
        let (standing, wanted) = sessions
            .begin(&nothing_to_fetch(7, epoch), false, NOW)
            .expect("the next one");
        let answer = sessions.end(
            standing,
            &wanted,
            &[of_first, told(5, 0), told(5, 0)],
            8,
            NOW,
        );
        assert_eq!(answer.expect("in order").include, [include, false, false]);
    }
}

#[test]
fn wrong_ids_and_epochs_are_refused() {
    let mut sessions = Sessions::new(10);
    with_session(&mut sessions, 7, NOW);
    let mut begin = |request: &FetchRequest, by_id| sessions.begin(request, by_id, NOW).map(|_| ());
    let not_found = Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(begin(&nothing_to_fetch(8, 1), false), not_found);
    let wrong_epoch = Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(begin(&nothing_to_fetch(7, 2), false), wrong_epoch);
    let by_id = Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    assert_eq!(begin(&nothing_to_fetch(7, 1), true), by_id);
    assert_eq!(begin(&nothing_to_fetch(7, 1), false), Ok(()));
    // The same again, as after a lost answer.
    assert_eq!(begin(&nothing_to_fetch(7, 1), false), wrong_epoch);
}

#[test]
fn a_session_ends_when_told_or_when_nothing_is_left() {
    let mut sessions = Sessions::new(10);
    with_session(&mut sessions, 7, NOW);
    let (standing, _) = sessions
        .begin(&request(7, FINAL_EPOCH, &[1]), false, NOW)
        .expect("always");
    assert_eq!((standing, sessions.len()), (Standing::Sessionless, 0));
    with_session(&mut sessions, 8, NOW);
    let mut forget = nothing_to_fetch(8, 1);
    forget.forgotten_topics_data = vec![ForgottenTopic {
        topic: Text::from("t"),
        partitions: vec![0, 1, 2],
        ..Default::default()
    }];
    let (standing, wanted) = sessions.begin(&forget, false, NOW).expect("in order");
    assert_eq!((standing, wanted), (Standing::Sessionless, Vec::new()));
    assert_eq!((sessions.len(), sessions.partitions()), (0, 0));
    // A full request replaces the session it names.
    with_session(&mut sessions, 9, NOW);
    let replaced = sessions.begin(&request(9, INITIAL_EPOCH, &[1]), false, NOW);
    assert!(matches!(replaced, Ok((Standing::Full { .. }, _))));
    assert_eq!(sessions.len(), 0);
}

#[test]
fn epochs_wrap_to_one() {
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(0), 1);
    assert_eq!(next_epoch(FINAL_EPOCH), FINAL_EPOCH);
}

#[test]
fn sessions_are_bounded_and_stale_ones_make_room() {
    let mut sessions = Sessions::new(2);
    assert_eq!(with_session(&mut sessions, 1, NOW), 1);
    assert_eq!(with_session(&mut sessions, 2, NOW), 2);
    assert_eq!(with_session(&mut sessions, 3, NOW), 0);
    let later = NOW + STALE_AFTER;
    sessions
        .begin(&nothing_to_fetch(2, 1), false, later)
        .expect("in order");
    let much_later = later + Duration::from_secs(1);
    assert_eq!(with_session(&mut sessions, 3, much_later), 3);
    let gone = sessions.begin(&nothing_to_fetch(1, 1), false, much_later);
    assert_eq!(gone.map(|_| ()), Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    // An old one that is in use makes room for a larger one only.
    let (standing, wanted) = sessions
        .begin(&request(0, INITIAL_EPOCH, &[0, 1, 2, 3]), false, much_later)
        .expect("a full request");
    let answer = sessions.end(standing, &wanted, &[told(5, 0); 4], 4, much_later);
    assert_eq!(answer.expect("a full answer").session_id, 4);
    assert_eq!((sessions.len(), sessions.partitions()), (2, 7));
    assert_eq!(with_session(&mut sessions, 5, much_later), 0);
}
