"""The matching engine: items and a question in, verdicts out. Every caller's answers come from here."""

from optout.engine.items import ItemError, Items, Question
from optout.engine.judging import judge
from optout.engine.matches import Matches, Tier, Verdicts

__all__ = ["ItemError", "Items", "Matches", "Question", "Tier", "Verdicts", "judge"]
