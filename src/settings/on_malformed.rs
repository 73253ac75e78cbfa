//! What becomes of input that the agent would refuse.

/// What becomes of input that the agent would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMalformed {
    /// Repair what has one obvious meaning, leave out the entry otherwise, drop a chunk that cannot be read. Counted.
    #[default]
    Repair,
    /// Drop the chunk that has the fault. Counted.
    Drop,
    /// Refuse the payload with the place of its first fault.
    Fail,
}

impl OnMalformed {
    /// The names in settings.
    pub const ALL: [(&'static str, OnMalformed); 3] =
        [("REPAIR", Self::Repair), ("DROP", Self::Drop), ("FAIL", Self::Fail)];
}
