"""The model of the market: pure, deterministic, without I/O and without a clock."""
