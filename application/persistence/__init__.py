"""What we plug into the eventsourcing library: mapper, recorders, batch following."""
