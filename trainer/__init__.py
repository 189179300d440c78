"""The bundled text-to-image diffusion trainer: it trains on what a valid receipt covers, and says so."""
