"""What the engine does in a second, measured: see docs/performance.md. Not in the wheel."""
