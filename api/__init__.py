"""The REST API: it parses, calls one service or the matching engine, and answers. No rule lives here."""
