"""The ways to the market: HTTP, the command line, and the processes behind them."""
