"""PostgreSQL, Valkey and the supervisor of embedded mode. Nothing here needs Django."""
