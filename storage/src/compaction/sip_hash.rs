//! SipHash-2-4 with 128 bits, by Aumasson and Bernstein: a hash under a key, so that nobody who does not know the key can make two
//! records' keys meet.
//!
//! Only numbers in and numbers out.

/// What the hash depends on beside the bytes.
pub(super) type SipKey = [u64; 2];

struct State([u64; 4]);

impl State {
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn finish(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

/// The hash of some bytes.
#[must_use]
pub(super) fn sip_hash(key: SipKey, bytes: &[u8]) -> [u64; 2] {
    let [low, high] = key;
    let mut state = State([
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.word(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // The length modulo 256 is the last byte.
    last[7] = bytes.len() as u8;
    state.word(u64::from_le_bytes(last));
    state.0[2] ^= 0xee;
    let first = state.finish();
    state.0[1] ^= 0xdd;
    [first, state.finish()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_function() {
        // From the reference implementation's vectors: the key is 00 01 .. 0f, the input 00 01 .. of that length.
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let check = |length: u8, expected: u128| {
            let bytes: Vec<u8> = (0..length).collect();
            let [first, second] = sip_hash(key, &bytes).map(u64::swap_bytes);
            assert_eq!(u128::from(first) << 64 | u128::from(second), expected);
        };
        check(0, 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293);
        check(1, 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45);
    }
}
