"""What happened: metrics, logs."""
