//! What becomes of a payload between the pipeline and the agent, and the account of it. Never looks inside a span.

pub mod accounting;
