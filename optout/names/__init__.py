"""Names in captions: whole words, whatever their case and accents."""

from optout.names.fold import fold, tokens, validate_name

__all__ = ["fold", "tokens", "validate_name"]
