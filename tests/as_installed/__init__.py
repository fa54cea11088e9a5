"""Modules in the way of what only development tools bring along."""
