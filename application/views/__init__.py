"""The read models: each follows one application, and holds its rows and its position."""
