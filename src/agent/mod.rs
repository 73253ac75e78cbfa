//! Talking to the agent: requests, headers, connections, what it answers and what it offers. Never looks inside a span.
