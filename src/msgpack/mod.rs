//! The only place that knows msgpack bytes.
