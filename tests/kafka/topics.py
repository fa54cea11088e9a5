"""Topics of a test: made at once, and deleted after it."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic


def create_topics(bootstrap_servers: str, *names: str, partitions: int = 1) -> None:
    """Create the topics, and wait until they are there."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    topics = [NewTopic(name, num_partitions=partitions) for name in names]
    for created in admin.create_topics(topics).values():
        created.result()


def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Delete all topics whose names begin so.

    The broker may still name one that the controller has deleted.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    names = [name for name in admin.list_topics(timeout=30).topics if name.startswith(prefix)]
    if names:
        for deleted in admin.delete_topics(names).values():
            try:
                deleted.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
