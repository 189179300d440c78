"""Auditing a model before its release: what it draws, held against the registry and its training works."""

from trainer.audit.looking import Looker
from trainer.audit.report import write_report
from trainer.audit.run import Audit, audit

__all__ = ["Audit", "Looker", "audit", "write_report"]
