//! What a payload, a chunk and a span are: borrowed views in a reused arena.
