use std::cell::{Cell, RefCell};
use std::ffi::CString;
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

/// Keeps the core for so long, and says how long that was.
fn work(time: Duration) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
    begun.elapsed()
}

#[test]
fn work_in_the_background_has_an_idle_core_and_a_small_part_of_a_busy_one() {
    on_a_core(|| async {
        // How many steps there were, and their time: a machine that is busy itself stretches them, and what they cost counts.
        let steps = Rc::new(Cell::new((0u32, Duration::ZERO)));
        let counts = Rc::clone(&steps);
        spawn(async move {
            loop {
                background().await;
                let took = work(Duration::from_micros(200));
                let (number, time) = counts.get();
                counts.set((number + 1, time + took));
            }
        })
        .detach();
        let begun = Instant::now();
        while steps.get().0 < 100 {
            assert!(begun.elapsed() < LONG, "{:?}", steps.get());
            sleep(Duration::from_millis(1)).await;
        }
        let (all, time) = (begun.elapsed(), steps.replace((0, Duration::ZERO)).1);
        assert!(time * 3 > all, "{time:?} of an idle core's {all:?}");
        let begun = Instant::now();
        while steps.get().0 < 10 {
            assert!(begun.elapsed() < LONG, "{:?}", steps.get());
            work(Duration::from_micros(20));
            yield_now().await;
        }
        let (all, (number, time)) = (begun.elapsed(), steps.get());
        // One part in eleven, and the last step has yet to be made up for.
        assert!(
            time * 5 < all + time / number * 10,
            "{number} steps, {time:?} of a busy core's {all:?}"
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

#[test]
fn the_end_of_an_executor_lets_go_of_what_it_held_whatever_still_waits() {
    let lock = tempfile::NamedTempFile::new().expect("a file");
    let file = lock.reopen().expect("opened");
    file.lock().expect("free");
    on_a_core(move || async move {
        hold(file.as_raw_fd()).expect("there is room");
        let (client, server) = pair();
        spawn(async move {
            let mut readable = Readiness::new(server.as_raw_fd(), Direction::Read);
            readable.ready().await.expect("nothing comes");
            drop(client);
        })
        .detach();
        spawn(sleep(LONG)).detach();
        spawn(background()).detach();
        let (sender, receiver) = flume::bounded::<u32>(1);
        spawn(async move {
            let _ = foreign(receiver.recv_async()).await;
            drop(sender);
        })
        .detach();
        // Its waker is where only it can reach: nobody but the executor can end it.
        let waker = Rc::new(RefCell::new(None));
        let held = Rc::clone(&waker);
        spawn(std::future::poll_fn(move |context| {
            *held.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        }))
        .detach();
    });
    // The kernel takes a ring apart a little later.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(lock.as_file().lock()));
    let locked = told.recv_timeout(LONG);
    locked
        .expect("no ring outlives its executor")
        .expect("it can be locked");
}

#[test]
fn a_worker_ends_with_its_executor_whatever_still_waits() {
    let ended = on_a_core(|| async {
        struct Tells(mpsc::Sender<()>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        thread_local! { static TELLS: RefCell<Option<Tells>> = const { RefCell::new(None) } }
        let (tell, ended) = mpsc::channel();
        blocking(move || TELLS.set(Some(Tells(tell)))).await;
        spawn(sleep(LONG)).detach();
        let waker = Rc::new(RefCell::new(None));
        spawn(std::future::poll_fn(move |context| {
            *waker.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        }))
        .detach();
        ended
    });
    ended.recv_timeout(LONG).expect("its thread ends");
}

#[test]
fn no_sleep_however_short_goes_on_before_the_others() {
    on_a_core(|| async {
        let rounds = Rc::new(Cell::new(0));
        let counts = Rc::clone(&rounds);
        let other = spawn(async move {
            loop {
                yield_now().await;
                counts.set(counts.get() + 1);
            }
        });
        for _ in 0..100 {
            sleep(Duration::ZERO).await;
        }
        assert!(rounds.get() >= 99, "{} of 100 turns", rounds.get());
        other.cancel().await;
    });
}

#[test]
fn who_is_ready_when_the_main_future_ends_still_has_a_core() {
    for _ in 0..20 {
        on_a_core(|| async {
            for _ in 0..10 {
                spawn(async {
                    for _ in 0..1_000 {
                        yield_now().await;
                        yield_if_needed().await;
                        drop(spawn(sleep(LONG)));
                    }
                })
                .detach();
            }
            sleep(Duration::from_micros(100)).await;
        });
    }
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes there alone.
    #[allow(unsafe_code)]
    unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time)
    };
    Duration::new(
        u64::try_from(time.tv_sec).expect("it counts from 0"),
        u32::try_from(time.tv_nsec).expect("less than a second"),
    )
}

#[test]
fn a_core_sleeps_also_until_a_time_that_never_comes() {
    for seconds in [1 << 33, 1 << 34, 1 << 53, u64::MAX] {
        on_a_core(move || async move {
            spawn(sleep(Duration::from_secs(seconds))).detach();
            let (sender, receiver) = flume::bounded(1);
            let rings = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(200));
                sender.send(()).expect("it waits");
            });
            let before = cpu_time();
            foreign(receiver.recv_async()).await.expect("it rings");
            let used = cpu_time() - before;
            rings.join().expect("it rang");
            assert!(
                used < Duration::from_millis(50),
                "{used:?} of 200 ms with a sleep of {seconds} s"
            );
        });
    }
}

#[test]
fn a_file_that_was_opened_for_nobody_is_closed() {
    on_a_core(|| async {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = CString::new(file.path().as_os_str().as_encoded_bytes()).expect("no zeros");
        let opened = || {
            let links = std::fs::read_dir("/proc/self/fd").expect("there is one");
            let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
            links.filter(|link| link == file.path()).count()
        };
        assert_eq!(opened(), 1);
        // Files are closed behind the back of who lets go of them.
        let settles = async |count: usize| {
            let begun = Instant::now();
            while opened() != count {
                assert!(begun.elapsed() < LONG, "{} are open", opened());
                sleep(Duration::from_millis(1)).await;
            }
        };
        for _ in 0..100 {
            let open = open(path.clone(), libc::O_RDONLY, 0);
            assert!(poll_once(open).await.is_none());
            let mut open = Box::pin(super::open(path.clone(), libc::O_RDONLY, 0));
            assert!(poll_once(open.as_mut()).await.is_none());
            // Most are open by then, some are not.
            sleep(Duration::from_micros(100)).await;
            drop(open);
        }
        settles(1).await;
        let last = open(path, libc::O_RDONLY, 0).await.expect("it is there");
        assert_eq!(opened(), 2);
        close(last);
        settles(1).await;
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
