//! The journal's next file, filled with zeros before it is needed, as fast as the one before it fills.
//!
//! To fill a file in the path of a commit would hold up that commit by the time that 64 MiB take. Never writes to a file that
//! the journal has.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::{JournalConfig, JournalFile, replay};
use crate::disk::{Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, aligned_buffer};
use crate::signal::Signal;

/// Zeros written at once, at least: a flush of the journal waits for them. A file that fills fast has larger ones.
const STEP: u64 = 256 << 10;

/// The next file is this many times as far as the one that fills: it is done half-way.
const AHEAD: u64 = 2;

pub(crate) struct NextFile<D: Disk> {
    disk: D,
    config: JournalConfig,
    /// Which one is needed next, if it must be made.
    wanted: Cell<Option<usize>>,
    /// It is filled up to here for now.
    upto: Cell<u64>,
    making: RefCell<Making<D::File>>,
    /// Rung when somebody lets go of it.
    progress: Signal,
}

enum Making<F> {
    NotBegun,
    /// Somebody is at it.
    Busy,
    Part {
        file: F,
        filled: u64,
    },
    Ready(JournalFile<F>),
}

impl<D: Disk> NextFile<D> {
    pub(super) fn new(disk: D, config: JournalConfig) -> Rc<Self> {
        Rc::new(Self {
            disk,
            config,
            wanted: Cell::new(None),
            upto: Cell::new(0),
            making: RefCell::new(Making::NotBegun),
            progress: Signal::default(),
        })
    }

    /// The file before it is written up to here; `number` is what it will be called.
    pub(super) fn keep_ahead_of(&self, position: u64, number: usize) {
        self.wanted.set(Some(number));
        let upto = (AHEAD * position).next_multiple_of(STEP);
        self.upto.set(upto.min(self.config.file_bytes()));
    }

    /// Whether [`Self::make`] has something to do.
    pub(crate) fn is_behind(&self) -> bool {
        self.wanted.get().is_some()
            && match &*self.making.borrow() {
                Making::NotBegun => true,
                Making::Busy | Making::Ready(_) => false,
                Making::Part { filled, .. } => *filled < self.upto.get(),
            }
    }

    /// Makes it, as far as it is wanted by now.
    ///
    /// # Errors
    /// Those of the disk; it begins anew next time.
    pub(crate) async fn make(&self) -> io::Result<()> {
        while self.is_behind() {
            let made = self.step().await;
            self.progress.ring();
            made?;
        }
        Ok(())
    }

    /// All of it, now.
    pub(super) async fn whole(&self, number: usize) -> io::Result<JournalFile<D::File>> {
        self.wanted.set(Some(number));
        loop {
            self.upto.set(self.config.file_bytes());
            let progress = self.progress.wait();
            self.make().await?;
            let making = self.making.replace(Making::NotBegun);
            if let Making::Ready(file) = making {
                self.wanted.set(None);
                self.upto.set(0);
                return Ok(file);
            }
            *self.making.borrow_mut() = making;
            progress.await;
        }
    }

    async fn step(&self) -> io::Result<()> {
        let making = self.making.replace(Making::Busy);
        let made = self.step_of(making).await;
        let (next, result) = match made {
            Ok(next) => (next, Ok(())),
            Err(error) => (Making::NotBegun, Err(error)),
        };
        *self.making.borrow_mut() = next;
        result
    }

    async fn step_of(&self, making: Making<D::File>) -> io::Result<Making<D::File>> {
        let whole = self.config.file_bytes();
        let (file, filled) = match making {
            Making::NotBegun => {
                let number = self.wanted.get().expect("somebody wants it");
                let path = self.config.directory.join(replay::file_name(number));
                let size = self.disk.size(&path).await.unwrap_or(0);
                let file = self.disk.open(&path, OpenMode::Create).await?;
                if size == whole {
                    // An earlier start filled it.
                    return Ok(ready(file));
                }
                if size > whole {
                    file.truncate(whole).await?;
                }
                file.allocate(whole).await?;
                (file, 0)
            }
            Making::Part { file, filled } => (file, filled),
            Making::Busy | Making::Ready(_) => unreachable!("then it is not behind"),
        };
        let behind = self.upto.get().saturating_sub(filled);
        let step = behind.clamp(STEP, TRANSFER_MAX as u64).min(whole - filled);
        let length = usize::try_from(step).expect("at most TRANSFER_MAX");
        let mut zeros = aligned_buffer(length);
        zeros.resize(length, 0);
        file.write_at(zeros.freeze(), filled, Durability::Written)
            .await?;
        let filled = filled + step;
        if filled < whole {
            return Ok(Making::Part { file, filled });
        }
        file.sync().await?;
        Ok(ready(file))
    }
}

fn ready<F>(file: F) -> Making<F> {
    Making::Ready(JournalFile {
        file,
        last_sequence: 0,
    })
}
