"""OTLP messages for Redis streams, NATS JetStream and Kafka."""
