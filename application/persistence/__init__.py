"""Extensions of the eventsourcing library: mapper, recorders, batch following."""
