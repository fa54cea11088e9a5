"""Kafka: the log leaves the building."""
