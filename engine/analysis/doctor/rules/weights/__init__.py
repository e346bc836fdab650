"""Rules about weights and the BatchNorm behind them."""
