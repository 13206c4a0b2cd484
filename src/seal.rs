//! Encryption at rest: AES-256-GCM-SIV, whose random nonces may even meet without doing harm. What
//! was sealed for one purpose does not open for another. It reads and writes nothing.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::secret::{Secret, long_enough};

const TAG: usize = 16;

/// Seals and opens.
pub struct SealingKey(RandomizedNonceKey);

/// It was not sealed with this key for this purpose, or it was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key, or it was changed")]
pub struct BrokenSeal;

impl SealingKey {
    /// The key that follows from `secret`, which may be of any length from 16 bytes.
    pub fn from_secret(secret: &Secret) -> Result<Self, String> {
        long_enough(secret.expose())?;
        let secret = secret.expose().as_bytes();
        let mut key = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, b"tokend state, version 1")
            .extract(secret)
            .expand(&[b"AES-256-GCM-SIV"], HKDF_SHA256)
            .and_then(|derived| derived.fill(key.as_mut()))
            .and_then(|()| RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_ref()))
            .map(Self)
            .map_err(|_| "a key could not be derived".to_owned())
    }

    /// Seals `plain` for `purpose`.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let mut sealed = Vec::with_capacity(plain.len() + TAG + NONCE_LEN);
        sealed.extend_from_slice(plain);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .map_err(|_| "the system gives no random numbers".to_owned())?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for `purpose`, into `room`, which may be used again and again.
    pub fn open<'r>(&self, purpose: &str, sealed: &[u8], room: &'r mut Room) -> Result<&'r [u8], BrokenSeal> {
        let (sealed, nonce) = sealed.split_last_chunk::<NONCE_LEN>().ok_or(BrokenSeal)?;
        let plain = room.copy_of(sealed);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(purpose), plain).map(|plain| &*plain).map_err(|_| BrokenSeal)
    }
}

/// Where sealed texts are opened one after the other; wiped when it is dropped.
#[derive(Default)]
pub struct Room(Zeroizing<Vec<u8>>);

impl Room {
    fn copy_of(&mut self, sealed: &[u8]) -> &mut [u8] {
        if self.0.len() < sealed.len() {
            // The old one is wiped here; a vector that grows by itself would leave it behind.
            self.0 = Zeroizing::new(vec![0; sealed.len().next_power_of_two()]);
        }
        let room = &mut self.0[..sealed.len()];
        room.copy_from_slice(sealed);
        room
    }
}

/// A fresh secret for a key, of visible characters: 256 random bits.
pub fn new_secret() -> Result<Secret, String> {
    let mut random = Zeroizing::new([0_u8; 32]);
    rand::fill(random.as_mut()).map_err(|_| "the system gives no random numbers".to_owned())?;
    let mut text = String::with_capacity(64);
    for byte in random.iter() {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(text: &str) -> SealingKey {
        SealingKey::from_secret(&Secret::new(text.into())).unwrap()
    }

    fn open(key: &SealingKey, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, BrokenSeal> {
        key.open(purpose, sealed, &mut Room::default()).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_was_sealed_opens_again_and_shows_nothing() {
        let key = key("sixteen letters!");
        for plain in [&b""[..], b"x", b"eyJhbGciOi.a.b", &vec![7; 65_536]] {
            let sealed = key.seal("slot a", plain).unwrap();
            assert_eq!(open(&key, "slot a", &sealed).as_deref(), Ok(plain));
            assert_eq!(sealed.len(), plain.len() + TAG + NONCE_LEN);
        }
        let mut room = Room::default();
        for plain in [&b"long enough to be seen"[..], b"x", b"longer than the first, which was long"] {
            assert_eq!(key.open("slot a", &key.seal("slot a", plain).unwrap(), &mut room), Ok(plain));
        }
        let sealed = key.seal("slot a", b"eyJhbGciOi.a.b").unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"eyJh"));
    }

    #[test]
    fn one_text_is_never_sealed_twice_the_same() {
        let key = key("sixteen letters!");
        assert_ne!(key.seal("a", b"same").unwrap(), key.seal("a", b"same").unwrap());
    }

    #[test]
    fn every_flipped_bit_and_every_lost_byte_breaks_the_seal() {
        let key = key("sixteen letters!");
        let sealed = key.seal("slot a", b"the access token").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut tampered = sealed.clone();
            tampered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, "slot a", &tampered), Err(BrokenSeal), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(open(&key, "slot a", &sealed[..length]), Err(BrokenSeal), "length {length}");
        }
    }

    #[test]
    fn another_key_and_another_purpose_do_not_open() {
        let sealed = key("sixteen letters!").seal("slot a", b"secret").unwrap();
        assert!(open(&key("sixteen letters?"), "slot a", &sealed).is_err());
        assert!(open(&key("sixteen letters!"), "slot b", &sealed).is_err());
    }

    #[test]
    fn a_secret_that_could_be_guessed_makes_no_key() {
        assert!(SealingKey::from_secret(&Secret::new("fifteen letters".into())).is_err());
    }

    #[test]
    fn new_secrets_differ_and_make_keys() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert!(!one.same_as(&other));
        assert!(SealingKey::from_secret(&one).is_ok());
    }

    #[test]
    fn the_key_that_follows_from_a_secret_stays_the_same_over_versions() {
        // Sealed by the first version that was released.
        let sealed: Vec<u8> = SEALED_ONCE
            .chunks(2)
            .map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(open(&key("sixteen letters!"), "slot a", &sealed).as_deref(), Ok(&b"secret"[..]));
    }

    const SEALED_ONCE: &[u8] = b"e766890624819547aaa0fe4bb94bfadcdc2bbcad97b435de8216ed48c2556a52aafa";
}
