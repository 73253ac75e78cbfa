//! What the differential tests share: [`model`] turns a payload that the reference's crates decoded into something that
//! can be compared, [`generate`] makes payloads, [`fixtures`] reads the real ones.

pub mod fixtures;
pub mod generate;
pub mod libdd;
pub mod model;
pub mod ours;
