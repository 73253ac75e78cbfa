//! The tables of handles, one a kind.

use super::chunks::Chunks;
use super::config::Settings;
use super::error::Fault;
use super::event::Event;
use super::exporter::{Held, Token};
use super::pipeline::Answer;
use super::runtime::Runtime;
use super::slab::Slab;
use super::span::Span;
use std::ptr;
use std::sync::Arc;

pub(super) static CONFIGS: Slab<Settings> = Slab::new(1);
pub(super) static EXPORTERS: Slab<Option<Arc<Held>>> = Slab::new(2);
pub(super) static RESPONSES: Slab<Option<Answer>> = Slab::new(3);
pub(super) static TOKENS: Slab<Option<Arc<Token>>> = Slab::new(4);
pub(super) static SPANS: Slab<Span> = Slab::new(5);
pub(super) static EVENTS: Slab<Event> = Slab::new(6);
pub(super) static CHUNKS: Slab<Chunks> = Slab::new(7);
pub(super) static VALUES: Slab<Vec<u8>> = Slab::new(8);
pub(super) static RUNTIMES: Slab<Option<Arc<Runtime>>> = Slab::new(9);
pub(super) static TEXTS: Slab<Vec<u8>> = Slab::new(10);

/// A handle of a value that `fill` has made.
#[inline]
pub(super) fn open<T: Default>(
    slab: &Slab<T>,
    fill: impl FnOnce(&mut T) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    slab.open(fill).unwrap_or_else(|| Err(Fault::no_memory()))
}

/// A handle as C has it: a pointer that points to nothing.
#[inline]
pub(super) fn as_pointer<T>(handle: usize) -> *mut T {
    ptr::without_provenance_mut(handle)
}
