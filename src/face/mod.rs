//! Shared by the boundaries to other languages: handles that cannot dangle, and panics that do not cross.

pub(crate) mod handle;
pub(crate) mod panic;
