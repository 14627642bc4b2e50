//! Several operations of one kind at a time: what one of them waits for, the others use.
//!
//! Starts no task: whoever waits for all of them drives each.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

/// Runs the work, so much of it at a time. The first error ends it at once, whatever else is under way: nobody may be told anything
/// good after it.
pub(crate) async fn until_an_error<W: Future<Output = io::Result<()>>>(
    at_a_time: usize,
    work: impl Iterator<Item = W>,
) -> io::Result<()> {
    run(at_a_time, work, true).await
}

/// Runs the work, so much of it at a time. After the first error nothing new begins, and what is under way comes to its end.
pub(crate) async fn to_the_end<W: Future<Output = io::Result<()>>>(
    at_a_time: usize,
    work: impl Iterator<Item = W>,
) -> io::Result<()> {
    run(at_a_time, work, false).await
}

async fn run<W: Future<Output = io::Result<()>>>(
    at_a_time: usize,
    work: impl Iterator<Item = W>,
    stop_at_once: bool,
) -> io::Result<()> {
    // Nothing more begins once it is none.
    let work = RefCell::new(Some(work));
    let lane = async || {
        loop {
            let next = work.borrow_mut().as_mut().and_then(Iterator::next);
            let Some(next) = next else { return Ok(()) };
            if let Err(error) = next.await {
                work.borrow_mut().take();
                return Err(error);
            }
        }
    };
    let mut lanes: Vec<_> = (0..at_a_time).map(|_| Box::pin(lane())).collect();
    let mut result = Ok(());
    poll_fn(|context| {
        let mut stopped = false;
        lanes.retain_mut(|lane| {
            if stopped {
                return true;
            }
            match lane.as_mut().poll(context) {
                Poll::Ready(Err(error)) => {
                    stopped = stop_at_once;
                    if result.is_ok() {
                        result = Err(error);
                    }
                    false
                }
                Poll::Ready(Ok(())) => false,
                Poll::Pending => true,
            }
        });
        match lanes.is_empty() || stopped {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    result
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_lite::future::{block_on, yield_now};

    use super::*;

    /// Numbers from 0 on, each after as many polls; how many were under way at a time at most, and which ended.
    #[derive(Default)]
    struct Seen {
        now: Cell<usize>,
        most: Cell<usize>,
        ended: RefCell<Vec<usize>>,
    }

    impl Seen {
        async fn work(&self, number: usize, fails: bool) -> io::Result<()> {
            self.now.set(self.now.get() + 1);
            self.most.set(self.most.get().max(self.now.get()));
            for _ in 0..number {
                yield_now().await;
            }
            self.now.set(self.now.get() - 1);
            self.ended.borrow_mut().push(number);
            match fails {
                true => Err(io::Error::other(number.to_string())),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn all_of_it_is_done_so_much_at_a_time() {
        let seen = Seen::default();
        let work = (0..100).map(|number| seen.work(number, false));
        block_on(to_the_end(7, work)).expect("nothing fails");
        assert_eq!((seen.most.get(), seen.ended.borrow().len()), (7, 100));
        block_on(until_an_error(
            3,
            std::iter::empty::<std::future::Ready<_>>(),
        ))
        .expect("nothing");
    }

    #[test]
    fn an_error_ends_it_at_once_or_lets_what_began_end() {
        for (at_once, expected) in [(true, vec![0, 1, 2]), (false, vec![0, 1, 2, 3, 4])] {
            let seen = Seen::default();
            // Three at a time, and so two are under way when the third fails.
            let work = (0..100).map(|number| seen.work(number, number == 2));
            let error = match at_once {
                true => block_on(until_an_error(3, work)),
                false => block_on(to_the_end(3, work)),
            };
            assert_eq!(error.expect_err("one fails").to_string(), "2");
            assert_eq!(*seen.ended.borrow(), expected);
        }
    }
}
