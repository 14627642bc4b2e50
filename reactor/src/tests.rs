use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use proptest::prelude::*;

use super::*;
use crate::executor::Settings;

fn on_a_core<T: Send + 'static, F: Future<Output = T> + 'static>(
    run: impl FnOnce() -> F + Send + 'static,
) -> T {
    on_a_core_that_spins(Duration::ZERO, run)
}

fn on_a_core_that_spins<T: Send + 'static, F: Future<Output = T> + 'static>(
    spin: Duration,
    run: impl FnOnce() -> F + Send + 'static,
) -> T {
    let settings = Settings {
        spin,
        ..Settings::new("test")
    };
    let thread = executor::spawn(&settings, run).expect("a thread");
    thread.join().expect("it does not panic").expect("a ring")
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    (client, server)
}

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn another_thread_wakes_a_core_that_sleeps_without_a_timer() {
    for spin in [Duration::ZERO, Duration::from_micros(50)] {
        let (sender, receiver) = flume::bounded::<u32>(0);
        let (answer, answers) = flume::unbounded();
        let rings = std::thread::spawn(move || {
            for number in 0..2_000 {
                sender.send(number).expect("it listens");
                // The core goes to sleep between two, or is about to.
                assert_eq!(answers.recv_timeout(LONG), Ok(number));
            }
        });
        on_a_core_that_spins(spin, move || async move {
            while let Ok(number) = foreign(receiver.recv_async()).await {
                answer.send(number).expect("it waits");
            }
        });
        rings.join().expect("all came back");
    }
}

#[test]
fn waits_that_were_given_up_leave_nothing_behind() {
    on_a_core(|| async {
        let (_sender, receiver) = flume::bounded::<u32>(1);
        let (client, _server) = pair();
        for _ in 0..100 {
            assert!(poll_once(foreign(receiver.recv_async())).await.is_none());
            assert!(poll_once(sleep(LONG)).await.is_none());
            let mut readiness = Readiness::new(client.as_raw_fd(), Direction::Read);
            assert!(poll_once(readiness.ready()).await.is_none());
        }
        // The cancels go out, and their operations come back.
        sleep(Duration::from_millis(1)).await;
        let reactor = Reactor::current();
        assert_eq!(reactor.foreigners.waiting(), 0);
        assert_eq!(reactor.timers.borrow().first(), None);
        assert_eq!(reactor.ring.under_way(), 1, "the wait for the doorbell");
    });
}

#[test]
fn a_socket_is_told_ready_each_time_and_not_before() {
    on_a_core(|| async {
        let (mut client, mut server) = pair();
        let mut readable = Readiness::new(server.as_raw_fd(), Direction::Read);
        let mut writable = Readiness::new(server.as_raw_fd(), Direction::Write);
        writable.ready().await.expect("there is room");
        for _ in 0..100 {
            assert!(poll_once(readable.ready()).await.is_none());
            client.write_all(b"x").expect("sent");
            timeout(LONG, readable.ready())
                .await
                .expect("told")
                .expect("ready");
            server.read_exact(&mut [0]).expect("it is there");
        }
        drop(client);
        timeout(LONG, readable.ready())
            .await
            .expect("told")
            .expect("the end is ready too");
    });
}

#[test]
fn a_canceled_task_ends_for_who_waits_for_it() {
    // Neither the cancel nor the drop is a poll: a core that counted polls alone would go to sleep between them.
    on_a_core(|| async {
        for _ in 0..1_000 {
            let waits = spawn(std::future::pending::<()>());
            assert_eq!(waits.cancel().await, None);
        }
    });
}

#[test]
fn the_end_of_the_main_future_ends_the_executor_whatever_else_waits() {
    on_a_core(|| async {
        spawn(std::future::pending::<()>()).detach();
        spawn(sleep(LONG)).detach();
    });
}

#[test]
fn who_always_has_work_does_not_keep_the_others_from_theirs() {
    on_a_core(|| async {
        let stop = Rc::new(Cell::new(false));
        let stops = Rc::clone(&stop);
        let busy = spawn(async move {
            while !stops.get() {
                yield_now().await;
            }
        });
        let begun = Instant::now();
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
        }
        let (mut client, server) = pair();
        let mut readable = Readiness::new(server.as_raw_fd(), Direction::Read);
        client.write_all(b"x").expect("sent");
        readable.ready().await.expect("the kernel is asked");
        assert!(begun.elapsed() < LONG);
        stop.set(true);
        busy.await;
    });
}

#[test]
fn work_in_the_background_has_an_idle_core_and_a_small_part_of_a_busy_one() {
    let step = Duration::from_micros(200);
    let work = move |time: Duration| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    };
    on_a_core(move || async move {
        let steps = Rc::new(Cell::new(0u32));
        let counts = Rc::clone(&steps);
        spawn(async move {
            loop {
                background().await;
                work(step);
                counts.set(counts.get() + 1);
            }
        })
        .detach();
        sleep(Duration::from_millis(50)).await;
        let idle = steps.replace(0);
        assert!(idle > 20, "{idle} steps of an idle core's 250 in 50 ms");
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            work(Duration::from_micros(20));
            yield_now().await;
        }
        let busy = steps.get();
        // One part in eleven of 1000 steps is 91; a machine that is busy itself gives fewer.
        assert!(
            (1..=200).contains(&busy),
            "{busy} steps of a busy core's 1000"
        );
    });
}

#[test]
fn slow_system_calls_run_elsewhere_one_after_the_other() {
    on_a_core(|| async {
        let here = std::thread::current().id();
        let (tell, told) = mpsc::channel();
        let mut tasks = Vec::new();
        for number in 0..10 {
            let tell = tell.clone();
            tasks.push(spawn(blocking(move || {
                tell.send(number).expect("it is heard");
                std::thread::current().id()
            })));
        }
        for task in tasks {
            assert_ne!(task.await, here);
        }
        assert!(told.try_iter().eq(0..10));
    });
}

#[test]
fn files_are_held_up_to_a_limit() {
    on_a_core(|| async {
        let file = tempfile::tempfile().expect("a file");
        for _ in 0..8 {
            hold(file.as_raw_fd()).expect("there is room");
        }
        hold(file.as_raw_fd()).expect_err("no more");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn timers_end_and_never_early(
        waits in prop::collection::vec((0u64..3_000, any::<bool>()), 1..50),
    ) {
        let ended = on_a_core(move || async move {
            let ended = Rc::new(RefCell::new(Vec::new()));
            let begun = Instant::now();
            let mut tasks = Vec::new();
            for (micros, dropped) in waits.clone() {
                let ends = Rc::clone(&ended);
                let task = spawn(async move {
                    let time = Duration::from_micros(micros);
                    let asked = begun.elapsed();
                    sleep(time).await;
                    ends.borrow_mut().push((asked + time, begun.elapsed()));
                });
                if dropped {
                    drop(task);
                } else {
                    tasks.push(task);
                }
            }
            let kept = tasks.len();
            for task in tasks {
                task.await;
            }
            let ended = ended.borrow().clone();
            (kept, ended)
        });
        let (kept, ended) = ended;
        // A dropped task may have ended before it was dropped.
        prop_assert!(ended.len() >= kept);
        for (due, at) in &ended {
            prop_assert!(at >= due, "ended {:?} early", *due - *at);
        }
    }
}
