//! What was offered and waits: the queue in memory, the spool on disk, and the senders that empty both.

pub(crate) mod courier;
pub(crate) mod parcel;
pub(crate) mod queue;
pub(crate) mod shed;
pub(crate) mod spool;
