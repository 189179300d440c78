"""`python manage.py serve`: the whole registry with one command."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.embedded.errors import EmbeddedError
from config.embedded.serving import Plan, serve
from config.environment import Environment


class Command(BaseCommand):
    """Starts what is not configured, prepares it, runs web server, workers and clock until Ctrl-C."""

    help = "Run the registry: PostgreSQL and Valkey if none are configured, web server, workers, clock."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("--quiet", action="store_true", help="keep what the parts say to their log files")
        parser.add_argument("--ready-file", type=Path, help="file written, as JSON, once everything answers")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        env = Environment()
        plan = Plan(
            data=settings.DATA,
            database=settings.EMBEDDED and not env.has("DATABASE_URL"),
            valkey=settings.EMBEDDED and not env.has("REDIS_URL"),
            embedded=settings.EMBEDDED,
            host=env.text("OPTOUT_HOST"),
            port=env.integer("OPTOUT_PORT"),
            port_is_wish=not env.has("OPTOUT_PORT"),
            task_workers=env.integer("OPTOUT_TASK_WORKERS", least=1),
            hash_workers=env.integer("OPTOUT_HASH_WORKERS", least=1),
            clip_devices=(env.words("OPTOUT_CLIP_DEVICES") or [""]) if env.has("OPTOUT_CLIP_MODEL") else (),
            quiet=options["quiet"],
            ready_file=options["ready_file"],
        )
        try:
            serve(plan)
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
