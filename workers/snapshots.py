"""Building snapshots."""

from registry.services.snapshots import build_current
from workers.celery import app

__all__ = ["build"]


@app.task(name="workers.snapshots.build")
def build() -> None:
    """Build and publish a snapshot if there are new events and nobody else is building."""
    build_current()
