"""Settings, URLs, WSGI and the embedded services."""
