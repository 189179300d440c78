"""The writes: each function is one transaction with the change and its event; messages leave after commit."""
