"""The installed package: the launcher, and in the wheel all that it starts."""
