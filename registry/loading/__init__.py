"""Bulk loading: from a claim exchange file to claims, selectors and events, in repeatable chunks."""

from registry.loading.load import RETRYABLE, fail_import, load_import

__all__ = ["RETRYABLE", "fail_import", "load_import"]
