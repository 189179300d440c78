"""The domain app: parties, claims, events, imports, snapshots and their services."""
