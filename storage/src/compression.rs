//! The codecs of record batches: gzip, snappy, lz4 and zstd, as Kafka's clients write them.
//!
//! Unpacks into at most as many bytes as the caller allows; never trusts a length inside the packed data.

use std::io::{Read, Write as _};

use bytes::Bytes;

/// A codec, by its number in a batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionError {
    /// No codec has this number.
    UnknownCodec(i16),
    /// The data is not what the codec writes.
    Corrupt,
    /// It unpacks to more than the caller allows.
    TooLarge,
}

impl Codec {
    pub(crate) fn from_attributes(bits: i16) -> Result<Self, CompressionError> {
        match bits {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(CompressionError::UnknownCodec(other)),
        }
    }

    pub(crate) fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Unpacks `packed` into at most `bytes_max` bytes.
///
/// # Errors
/// [`CompressionError`].
pub fn decompress(
    codec: Codec,
    packed: &[u8],
    bytes_max: usize,
) -> Result<Bytes, CompressionError> {
    match codec {
        Codec::None if packed.len() > bytes_max => Err(CompressionError::TooLarge),
        Codec::None => Ok(Bytes::copy_from_slice(packed)),
        Codec::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(packed), bytes_max),
        Codec::Snappy => snappy(packed, bytes_max),
        Codec::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(packed), bytes_max),
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed)
                .map_err(|_| CompressionError::Corrupt)?;
            read_bounded(decoder, bytes_max)
        }
    }
}

fn read_bounded(reader: impl Read, bytes_max: usize) -> Result<Bytes, CompressionError> {
    let mut unpacked = Vec::new();
    // One byte more than allowed tells a batch of exactly that size from a larger one.
    reader
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| CompressionError::Corrupt)?;
    if unpacked.len() > bytes_max {
        return Err(CompressionError::TooLarge);
    }
    Ok(Bytes::from(unpacked))
}

/// What Java's snappy library puts before its chunks.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// Magic, version, and oldest compatible version.
const XERIAL_HEADER_BYTES: usize = 16;

/// What its writer puts in one chunk, before packing.
const XERIAL_CHUNK_BYTES: usize = 32 << 10;

/// Snappy comes in Java's framing (a header, then chunks behind their lengths) or bare, from other clients.
fn snappy(packed: &[u8], bytes_max: usize) -> Result<Bytes, CompressionError> {
    let mut unpacked = Vec::new();
    if !packed.starts_with(&XERIAL_MAGIC) {
        snappy_chunk(packed, &mut unpacked, bytes_max)?;
        return Ok(Bytes::from(unpacked));
    }
    let mut rest = packed
        .get(XERIAL_HEADER_BYTES..)
        .ok_or(CompressionError::Corrupt)?;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk().ok_or(CompressionError::Corrupt)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (chunk, behind) = behind
            .split_at_checked(length)
            .ok_or(CompressionError::Corrupt)?;
        snappy_chunk(chunk, &mut unpacked, bytes_max)?;
        rest = behind;
    }
    Ok(Bytes::from(unpacked))
}

fn snappy_chunk(
    chunk: &[u8],
    unpacked: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), CompressionError> {
    let length = snap::raw::decompress_len(chunk).map_err(|_| CompressionError::Corrupt)?;
    let start = unpacked.len();
    if length > bytes_max - start {
        return Err(CompressionError::TooLarge);
    }
    // The densest snappy packs 64 bytes into a copy of three: what says more lies, and is not given memory.
    if length / 64 > chunk.len() {
        return Err(CompressionError::Corrupt);
    }
    unpacked.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(chunk, &mut unpacked[start..])
        .map_err(|_| CompressionError::Corrupt)?;
    unpacked.truncate(start + written);
    Ok(())
}

/// Packs. What comes out is what Kafka's own clients read.
///
/// # Panics
/// Never for data below 2 GiB: packing into memory does not fail.
#[must_use]
pub fn compress(codec: Codec, plain: &[u8]) -> Vec<u8> {
    compress_at(codec, None, plain)
}

/// As [`compress`], at a level of the codec's own scale: gzip 1 to 9 (-1 is the default), zstd -131072 to 22. Snappy has
/// none, and of lz4 there is one only: the library's.
///
/// # Panics
/// Never for data below 2 GiB: packing into memory does not fail.
#[must_use]
pub fn compress_at(codec: Codec, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    let never = "packing into memory does not fail";
    match codec {
        Codec::None => plain.to_vec(),
        Codec::Gzip => {
            let level = level.and_then(|level| u32::try_from(level).ok());
            let level = level.map_or_else(flate2::Compression::default, |level| {
                flate2::Compression::new(level.min(9))
            });
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(plain).expect(never);
            encoder.finish().expect(never)
        }
        Codec::Snappy => {
            let mut packed = XERIAL_MAGIC.to_vec();
            packed.extend_from_slice(&1u32.to_be_bytes());
            packed.extend_from_slice(&1u32.to_be_bytes());
            for chunk in plain.chunks(XERIAL_CHUNK_BYTES) {
                let chunk = snap::raw::Encoder::new().compress_vec(chunk).expect(never);
                packed.extend_from_slice(
                    &u32::try_from(chunk.len())
                        .expect("a small chunk")
                        .to_be_bytes(),
                );
                packed.extend_from_slice(&chunk);
            }
            packed
        }
        Codec::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(plain).expect(never);
            encoder.finish().expect(never)
        }
        Codec::Zstd => {
            zstd::encode_all(plain, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)).expect(never)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 10 << 20];
        for codec in &ALL {
            let packed = compress(*codec, &zeros);
            assert_eq!(
                decompress(*codec, &packed, 1 << 20),
                Err(CompressionError::TooLarge),
                "{codec:?}"
            );
            assert_eq!(
                decompress(*codec, &packed, 10 << 20).map(|unpacked| unpacked.len()),
                Ok(10 << 20)
            );
        }
        // A bare snappy chunk that claims 4 GiB.
        let claim = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
        assert_eq!(
            decompress(Codec::Snappy, &claim, usize::MAX / 2),
            Err(CompressionError::Corrupt)
        );
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(plain in proptest::collection::vec(any::<u8>(), 0..100_000)) {
            for codec in ALL {
                let unpacked = decompress(codec, &compress(codec, &plain), plain.len());
                prop_assert_eq!(unpacked.as_deref(), Ok(plain.as_slice()));
            }
            let bare = snap::raw::Encoder::new().compress_vec(&plain).expect("packed");
            let unpacked = decompress(Codec::Snappy, &bare, plain.len());
            prop_assert_eq!(unpacked.as_deref(), Ok(plain.as_slice()));
        }

        #[test]
        fn what_is_cut_off_never_passes_for_the_whole(plain in proptest::collection::vec(any::<u8>(), 1..70_000), part in 0.0f64..1.0) {
            for codec in ALL {
                let packed = compress(codec, &plain);
                let cut = (packed.len() as f64 * part) as usize;
                // lz4's decoder takes the end of the data for the end of its blocks when the end mark alone is gone:
                // then, and only then, all of it was there.
                if let Ok(unpacked) = decompress(codec, &packed[..cut], plain.len()) {
                    let only_the_mark = codec == Codec::Lz4 && cut + 4 >= packed.len();
                    prop_assert!(unpacked.len() < plain.len() || only_the_mark, "{:?}", codec);
                }
            }
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(packed in proptest::collection::vec(any::<u8>(), 0..200)) {
            for codec in ALL {
                let _ = decompress(codec, &packed, 1 << 20);
            }
        }
    }
}
