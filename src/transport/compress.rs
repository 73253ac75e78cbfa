//! Bodies made smaller before they are sent. Level 1: what a higher one saves costs more than it is worth on the way to
//! a peer. Each way is a feature of the build; [`Compressor::new`] says so when one is not there.

use crate::error::{Error, ErrorKind};
use crate::settings::Compression;
use parking_lot::Mutex;

/// A body this small is sent as it is: it would hardly get smaller.
const WORTHWHILE: usize = 256;
/// Buffers that are kept for the next bodies.
const KEPT: usize = 4;
/// A buffer that has grown beyond this is given back.
const LARGEST_KEPT: usize = 4 << 20;

/// Compresses bodies one way. Thread-safe; what it works with is used again.
#[derive(Debug)]
pub(crate) struct Compressor {
    way: Compression,
    kept: Mutex<Vec<Work>>,
}

/// A body as it goes out. Give it back by [`Compressor::done`].
#[derive(Debug)]
pub(crate) struct Compressed(Work);

impl Compressed {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.out
    }
}

#[derive(Debug, Default)]
struct Work {
    out: Vec<u8>,
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd")),
        expect(dead_code, reason = "nothing compresses")
    )]
    state: State,
}

impl Compressor {
    /// `None`: bodies go as they are.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if this build cannot compress so.
    pub(crate) fn new(way: Compression) -> Result<Option<Self>, Error> {
        let built_in = match way {
            Compression::None => return Ok(None),
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Zstd => cfg!(feature = "zstd"),
        };
        if built_in {
            return Ok(Some(Self { way, kept: Mutex::default() }));
        }
        let text = format!("compression: this build of the library has no {}; NONE works", name(way));
        Err(Error::new(ErrorKind::InvalidConfiguration, text))
    }

    /// The value of `Content-Encoding`.
    pub(crate) fn name(&self) -> &'static str {
        name(self.way)
    }

    /// The body as it goes out; `None`: as it is, because it is small or there is no memory.
    pub(crate) fn compress(&self, body: &[u8]) -> Option<Compressed> {
        if body.len() < WORTHWHILE {
            return None;
        }
        let mut work = self.kept.lock().pop().unwrap_or_default();
        match work.run(self.way, body) {
            Some(()) => Some(Compressed(work)),
            None => {
                self.done(Compressed(work));
                None
            }
        }
    }

    /// The body has been sent.
    pub(crate) fn done(&self, compressed: Compressed) {
        let mut kept = self.kept.lock();
        if kept.len() < KEPT && compressed.0.out.capacity() <= LARGEST_KEPT {
            kept.push(compressed.0);
        }
    }
}

fn name(way: Compression) -> &'static str {
    match way {
        Compression::None => "identity",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}

/// What a compressor remembers between bodies.
#[derive(Default)]
struct State {
    #[cfg(feature = "gzip")]
    gzip: Option<flate2::Compress>,
    #[cfg(feature = "zstd")]
    zstd: Option<zrip::CompressContext>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl Work {
    fn run(&mut self, way: Compression, body: &[u8]) -> Option<()> {
        self.out.clear();
        match way {
            Compression::None => None,
            Compression::Gzip => self.gzip(body),
            Compression::Zstd => self.zstd(body),
        }
    }

    #[cfg(feature = "gzip")]
    fn gzip(&mut self, body: &[u8]) -> Option<()> {
        use flate2::{Compress, Compression, FlushCompress, Status};
        /// No name, no time, an operating system that is not said; 4 says that it was made the fast way.
        const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
        // Deflate adds five bytes to each 16 KiB that it cannot make smaller.
        self.out.try_reserve(body.len() + body.len() / 1024 + 64).ok()?;
        self.out.extend_from_slice(&HEAD);
        let state = self.state.gzip.get_or_insert_with(|| Compress::new(Compression::new(1), false));
        state.reset();
        loop {
            let read = usize::try_from(state.total_in()).ok()?;
            let rest = body.get(read..)?;
            match state.compress_vec(rest, &mut self.out, FlushCompress::Finish).ok()? {
                Status::StreamEnd => break,
                _ => self.out.try_reserve(64 * 1024).ok()?,
            }
        }
        let mut sum = flate2::Crc::new();
        sum.update(body);
        self.out.extend_from_slice(&sum.sum().to_le_bytes());
        self.out.extend_from_slice(&sum.amount().to_le_bytes());
        Some(())
    }

    #[cfg(not(feature = "gzip"))]
    fn gzip(&mut self, _: &[u8]) -> Option<()> {
        None
    }

    #[cfg(feature = "zstd")]
    fn zstd(&mut self, body: &[u8]) -> Option<()> {
        let state = match &mut self.state.zstd {
            Some(state) => state,
            none => none.insert(zrip::CompressContext::new(1).ok()?),
        };
        let bound = zrip::compress_bound(body.len());
        self.out.try_reserve(bound).ok()?;
        self.out.resize(bound, 0);
        let size = state.compress_into(body, &mut self.out).ok()?;
        self.out.truncate(size);
        Some(())
    }

    #[cfg(not(feature = "zstd"))]
    fn zstd(&mut self, _: &[u8]) -> Option<()> {
        None
    }
}

#[cfg(all(test, feature = "full"))]
mod tests {
    use super::*;
    use std::io::Read;

    fn bodies() -> Vec<Vec<u8>> {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_string().into_bytes()).collect();
        let mut noise = 1u64;
        let noise: Vec<u8> = (0..100_000)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            })
            .collect();
        vec![text, noise, vec![7; WORTHWHILE]]
    }

    #[test]
    fn what_was_compressed_is_the_body_again_and_what_does_not_get_smaller_still_is() {
        let gzip = Compressor::new(Compression::Gzip).unwrap().unwrap();
        let zstd = Compressor::new(Compression::Zstd).unwrap().unwrap();
        for _ in 0..2 {
            for body in bodies() {
                let packed = gzip.compress(&body).unwrap();
                let mut again = Vec::new();
                flate2::read::GzDecoder::new(packed.bytes()).read_to_end(&mut again).unwrap();
                assert!(again == body);
                gzip.done(packed);
                let packed = zstd.compress(&body).unwrap();
                assert!(zrip::decompress(packed.bytes()).unwrap() == body);
                assert!(packed.bytes().len() < body.len() + 100);
                zstd.done(packed);
            }
        }
        assert_eq!((gzip.kept.lock().len(), gzip.name(), zstd.name()), (1, "gzip", "zstd"));
    }

    #[test]
    fn a_small_body_goes_as_it_is() {
        let gzip = Compressor::new(Compression::Gzip).unwrap().unwrap();
        assert!(gzip.compress(&[0; WORTHWHILE - 1]).is_none());
        assert!(Compressor::new(Compression::None).unwrap().is_none());
    }
}
