"""Celery tasks. Imported by Django at start, so that tasks sent by name find the configured application."""

from workers.celery import app as celery_app

__all__ = ["celery_app"]
