"""What the words of other rights vocabularies become here: a use and a decision, or a note why nothing does.

`docs/uses.md` shows this table to people; a test holds the two together.
"""

from typing import NamedTuple

from optout.words import Decision, Use

__all__ = ["MAPPINGS", "Mapping", "markdown_table"]

ALLOW, TERMS, DENY = Decision.ALLOW, Decision.TERMS, Decision.DENY
_ANY_AI = Use.AI_TRAIN | Use.AI_INPUT
_EVERYTHING = Use.TDM | Use.AI_INPUT | Use.SEARCH


class Mapping(NamedTuple):
    """One word of one vocabulary.

    Attributes:
        vocabulary: who speaks.
        word: what they write.
        uses: the widest uses it names; none when the word says nothing that can be kept.
        decision: what it decides about them; None when it decides nothing.
        lost: what our words do not carry, empty when nothing is lost.
    """

    vocabulary: str
    word: str
    uses: Use
    decision: Decision | None
    lost: str = ""


_NOTHING = Use(0)

MAPPINGS: tuple[Mapping, ...] = (
    Mapping("AIPREF", "train-ai=n", Use.AI_TRAIN, DENY),
    Mapping("AIPREF", "train-ai=y", Use.AI_TRAIN, ALLOW),
    Mapping("AIPREF", "search=n", Use.SEARCH, DENY),
    Mapping("AIPREF", "search=y", Use.SEARCH, ALLOW),
    Mapping("TDMRep", "tdm-reservation: 1", Use.TDM, DENY),
    Mapping(
        "TDMRep",
        "tdm-reservation: 1, tdm-policy",
        Use.TDM,
        TERMS,
        "the policy's own clauses: only its address",
    ),
    Mapping("TDMRep", "tdm-reservation: 0", Use.TDM, ALLOW),
    Mapping("PLUS", "UNSPECIFIED", _NOTHING, None),
    Mapping("PLUS", "ALLOWED", Use.TDM | Use.AI_INPUT, ALLOW),
    Mapping("PLUS", "PROHIBITED-AIMLTRAINING", Use.AI_TRAIN, DENY),
    Mapping("PLUS", "PROHIBITED-GENAIMLTRAINING", Use.AI_TRAIN_GENERATIVE, DENY),
    Mapping("PLUS", "PROHIBITED-EXCEPTSEARCHENGINEINDEXING", Use.TDM | Use.AI_INPUT, DENY),
    Mapping("PLUS", "PROHIBITED", _EVERYTHING, DENY),
    Mapping("PLUS", "PROHIBITED-SEECONSTRAINT", Use.TDM | Use.AI_INPUT, DENY, "the constraint: it is prose"),
    Mapping("CAWG", "data_mining: notAllowed", Use.TDM, DENY),
    Mapping("CAWG", "ai_training: notAllowed", Use.AI_TRAIN, DENY),
    Mapping("CAWG", "ai_generative_training: notAllowed", Use.AI_TRAIN_GENERATIVE, DENY),
    Mapping("CAWG", "ai_inference: notAllowed", Use.AI_INPUT, DENY),
    Mapping("CAWG", "data_mining: allowed", Use.TDM, ALLOW),
    Mapping("CAWG", "ai_training: allowed", Use.AI_TRAIN, ALLOW),
    Mapping("CAWG", "ai_generative_training: allowed", Use.AI_TRAIN_GENERATIVE, ALLOW),
    Mapping("CAWG", "ai_inference: allowed", Use.AI_INPUT, ALLOW),
    Mapping("CAWG", "ai_training: constrained", Use.AI_TRAIN, DENY, "the constraint: it is prose"),
    Mapping("RSL", "prohibits ai-train", Use.AI_TRAIN, DENY),
    Mapping("RSL", "prohibits ai-input", Use.AI_INPUT, DENY),
    Mapping("RSL", "prohibits ai-index", Use.AI_INPUT, DENY, "an index kept apart from answers"),
    Mapping("RSL", "prohibits ai-all", _ANY_AI, DENY),
    Mapping("RSL", "prohibits search", Use.SEARCH, DENY),
    Mapping("RSL", "prohibits all", _EVERYTHING, DENY),
    Mapping("RSL", "permits ai-train", Use.AI_TRAIN, ALLOW, "that the list of what is permitted is closed"),
    Mapping("RSL", "payment", Use.AI_TRAIN, TERMS, "price and kind of payment: only the licence's address"),
    Mapping("Content Signals", "ai-train=no", Use.AI_TRAIN, DENY),
    Mapping("Content Signals", "ai-train=yes", Use.AI_TRAIN, ALLOW),
    Mapping("Content Signals", "ai-input=no", Use.AI_INPUT, DENY),
    Mapping("Content Signals", "ai-input=yes", Use.AI_INPUT, ALLOW),
    Mapping("Content Signals", "search=no", Use.SEARCH, DENY),
    Mapping("Content Signals", "search=yes", Use.SEARCH, ALLOW),
)


def markdown_table() -> str:
    """The mappings as the table of `docs/uses.md`."""
    lines = ["| Vocabulary | Word | Uses | Decision | What is lost |", "|---|---|---|---|---|"]
    for mapping in MAPPINGS:
        uses = " ".join(f"`{label}`" for label in mapping.uses.labels) or "no claim"
        decision = mapping.decision.label if mapping.decision else ""
        lines.append(f"| {mapping.vocabulary} | `{mapping.word}` | {uses} | {decision} | {mapping.lost} |")
    return "\n".join(lines)
