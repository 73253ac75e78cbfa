//! What happens when the queue is full.

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// What is offered is refused.
    #[default]
    DropNewest,
    /// The oldest payloads make room.
    DropOldest,
    /// The offering thread waits for room, up to `blockWait`; then what is offered is refused.
    Block,
    /// The traces worth least make room: sampled-out ones first, then those that were kept automatically, those with
    /// errors or kept by the user last; of equal worth the oldest.
    Shed,
}

impl Overflow {
    /// The names in settings.
    pub const ALL: [(&'static str, Overflow); 4] = [
        ("DROP_NEWEST", Self::DropNewest),
        ("DROP_OLDEST", Self::DropOldest),
        ("BLOCK", Self::Block),
        ("SHED", Self::Shed),
    ];
}
