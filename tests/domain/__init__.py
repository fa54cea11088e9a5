"""The model: every rule of the market, told as exact events."""
