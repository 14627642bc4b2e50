//! One file twice: as its readers see it, and as a power cut would leave it. Pure; knows no names and never fails.

use crate::support::random::Random;

/// What a power cut does to what was not flushed.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) random: Random,
    /// The device writes whole sectors of this size, and tears what is longer.
    pub(crate) sector: usize,
    /// How many of a hundred unflushed sectors have reached the medium nevertheless.
    pub(crate) survivors: u64,
}

impl Cut {
    /// All of it from one seed; some cuts take everything.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sector = [512, 4096][usize::try_from(random.below(2)).expect("one of two")];
        let survivors = [0, 10, 50, 90][usize::try_from(random.below(4)).expect("one of four")];
        Self {
            random,
            sector,
            survivors,
        }
    }

    /// Everything that was not flushed is gone.
    pub(crate) fn clean() -> Self {
        Self {
            random: Random::new(0),
            sector: 4096,
            survivors: 0,
        }
    }

    pub(crate) fn survives(&mut self) -> bool {
        self.random.below(100) < self.survivors
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    /// What reads see.
    current: Vec<u8>,
    /// What was flushed.
    durable: Vec<u8>,
    /// What was not, in the order it came.
    unflushed: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { position: usize, data: Vec<u8> },
    Size(usize),
}

impl Image {
    pub(crate) fn len(&self) -> usize {
        self.current.len()
    }

    pub(crate) fn read(&self, position: usize, length: usize) -> &[u8] {
        let end = self.current.len().min(position.saturating_add(length));
        &self.current[position.min(end)..end]
    }

    pub(crate) fn write(&mut self, position: usize, data: &[u8]) {
        put(&mut self.current, position, data);
        self.unflushed.push(Change::Write {
            position,
            data: data.to_vec(),
        });
    }

    /// A write that is durable when it is answered, and only that write: what was unflushed before stays so.
    pub(crate) fn write_through(&mut self, position: usize, data: &[u8]) {
        put(&mut self.current, position, data);
        put(&mut self.durable, position, data);
        // Nothing older may come back over it.
        let end = position + data.len();
        for change in std::mem::take(&mut self.unflushed) {
            match change {
                Change::Write { position: at, data } if at < end && at + data.len() > position => {
                    if at < position {
                        self.unflushed.push(Change::Write {
                            position: at,
                            data: data[..position - at].to_vec(),
                        });
                    }
                    if at + data.len() > end {
                        self.unflushed.push(Change::Write {
                            position: end,
                            data: data[end - at..].to_vec(),
                        });
                    }
                }
                Change::Size(size) if size < end => {}
                other => self.unflushed.push(other),
            }
        }
    }

    pub(crate) fn resize(&mut self, size: usize) {
        self.current.resize(size, 0);
        self.unflushed.push(Change::Size(size));
    }

    pub(crate) fn flush(&mut self) {
        for change in std::mem::take(&mut self.unflushed) {
            change.apply(&mut self.durable);
        }
    }

    /// The flush that fails: what it stood for is never written, reads go on showing it, and no later flush brings it.
    pub(crate) fn drop_unflushed(&mut self) {
        self.unflushed.clear();
    }

    /// The next boot finds what was flushed, and of the rest any sectors: since each survives or not by itself, in any order too.
    pub(crate) fn power_cut(&mut self, cut: &mut Cut) {
        for change in std::mem::take(&mut self.unflushed) {
            match change {
                Change::Write { position, data } => {
                    let mut at = position;
                    let mut rest = &data[..];
                    while !rest.is_empty() {
                        let length = (cut.sector - at % cut.sector).min(rest.len());
                        let (sector, after) = rest.split_at(length);
                        if cut.survives() {
                            put(&mut self.durable, at, sector);
                        }
                        at += length;
                        rest = after;
                    }
                }
                size @ Change::Size(_) => {
                    if cut.survives() {
                        size.apply(&mut self.durable);
                    }
                }
            }
        }
        self.current.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { position, data } => put(bytes, position, &data),
            Self::Size(size) => bytes.resize(size, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, position: usize, data: &[u8]) {
    let end = position + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[position..end].copy_from_slice(data);
}

mod tests {
    use super::*;

    /// What a cut that lets nothing unflushed survive leaves.
    fn left(mut image: Image) -> Vec<u8> {
        image.power_cut(&mut Cut::clean());
        image.current
    }

    #[test]
    fn a_write_is_read_at_once_and_lost_without_a_flush() {
        let mut image = Image::default();
        image.write(0, b"flushed");
        image.flush();
        image.write(4, b"new and longer");
        assert_eq!(image.read(0, 100), b"flusnew and longer");
        assert_eq!(left(image), b"flushed");
    }

    #[test]
    fn a_write_through_is_kept_alone() {
        let mut image = Image::default();
        image.write(0, b"aaaaaaaa");
        image.flush();
        image.write(0, b"bbbbbbbb");
        image.write_through(2, b"cc");
        assert_eq!(image.read(0, 8), b"bbccbbbb");
        assert_eq!(left(image.clone()), b"aaccaaaa");
        image.flush();
        assert_eq!(left(image), b"bbccbbbb");
    }

    #[test]
    fn what_a_failed_flush_stood_for_is_seen_until_the_cut() {
        let mut image = Image::default();
        image.write(0, b"gone");
        image.drop_unflushed();
        image.flush();
        assert_eq!(image.read(0, 4), b"gone");
        assert_eq!(left(image), b"");
    }

    #[test]
    fn a_cut_tears_a_long_write_the_same_way_for_the_same_seed() {
        let cut = |seed| {
            let mut image = Image::default();
            image.write(0, &[0; 64 << 10]);
            image.flush();
            image.write(0, &[1; 64 << 10]);
            let mut cut = Cut {
                random: Random::new(seed),
                sector: 512,
                survivors: 50,
            };
            image.power_cut(&mut cut);
            image.current
        };
        let torn = cut(1);
        let sectors = torn.chunks(512);
        assert!(sectors.clone().all(|sector| sector == [sector[0]; 512]));
        let survived = sectors.filter(|sector| sector[0] == 1).count();
        assert!((32..96).contains(&survived), "{survived} of 128");
        assert_eq!(torn, cut(1));
        assert_ne!(torn, cut(2));
    }

    #[test]
    fn a_size_is_durable_with_a_flush() {
        let mut image = Image::default();
        image.write(0, b"0123456789");
        image.flush();
        image.resize(4);
        assert_eq!(image.len(), 4);
        assert_eq!(left(image.clone()), b"0123456789");
        image.flush();
        assert_eq!(left(image), b"0123");
    }
}
