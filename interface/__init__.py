"""How the world reaches the market: HTTP, the command line, and the processes behind them."""
