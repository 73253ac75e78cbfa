//! The checks of the fuzz targets with what they need.

pub mod fuzz;
pub mod msgpack;
pub mod wire;
