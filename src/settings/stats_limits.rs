//! Limits of a bucket of stats.

/// How many different keys and values a bucket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsLimits {
    /// Groups of a bucket; the overflow group may be one more.
    pub whole_key: u32,
    /// Different resources.
    pub resource: u32,
    /// Different HTTP endpoints.
    pub http_endpoint: u32,
    /// Different lists of peer tags.
    pub peer_tags: u32,
    /// Different lists of additional tags.
    pub additional_tags: u32,
}

impl Default for StatsLimits {
    fn default() -> Self {
        Self { whole_key: 7000, resource: 1024, http_endpoint: 512, peer_tags: 512, additional_tags: 100 }
    }
}

impl StatsLimits {
    /// In the order of the fields, as they travel.
    pub fn values(self) -> [u32; 5] {
        [self.whole_key, self.resource, self.http_endpoint, self.peer_tags, self.additional_tags]
    }
}

impl From<[u32; 5]> for StatsLimits {
    fn from([whole_key, resource, http_endpoint, peer_tags, additional_tags]: [u32; 5]) -> Self {
        Self { whole_key, resource, http_endpoint, peer_tags, additional_tags }
    }
}
