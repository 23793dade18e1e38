"""What the Python tests share: the server under test, an HTTP client, the run's ledger."""
