"""What is installed under a name of its own: the launcher, and in the wheel all that it starts."""
