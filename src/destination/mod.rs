//! Where bodies go, one room a kind of peer: endpoints, headers, limits, what an answer means.

pub mod agent;
