//! The 43 peer tag keys that an agent of 2026 names in `/info`, pinned so that figures stay comparable.

pub const PEER_TAGS: [&str; 43] = [
    "_dd.base_service", "active_record.db.vendor", "amqp.destination", "amqp.exchange", "amqp.queue",
    "aws.queue.name", "aws.s3.bucket", "bucketname", "cassandra.keyspace", "db.cassandra.contact.points",
    "db.couchbase.seed.nodes", "db.hostname", "db.instance", "db.name", "db.namespace", "db.system", "db.type",
    "dns.hostname", "grpc.host", "hostname", "http.host", "http.server_name", "messaging.destination",
    "messaging.destination.name", "messaging.kafka.bootstrap.servers", "messaging.rabbitmq.exchange",
    "messaging.system", "mongodb.db", "msmq.queue.path", "net.peer.name", "network.destination.ip",
    "network.destination.name", "out.host", "peer.hostname", "peer.service", "queuename", "rpc.service",
    "rpc.system", "sequel.db.vendor", "server.address", "streamname", "tablename", "topicname",
];
