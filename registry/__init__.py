"""The domain: models, services, reads, portal and admin."""
