"""Measurements of the engine: see docs/performance.md. Not in the wheel."""
