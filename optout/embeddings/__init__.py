"""Embeddings of pictures: the text that claims carry, the models, and the table that is searched.

torch is imported only by what runs a model, when it first does.
"""

from optout.embeddings.loading import load_model
from optout.embeddings.model import EmbeddingModel
from optout.embeddings.rotation import clip_codes
from optout.embeddings.table import RECALL, EmbeddingTable, Found, make_embedding_table
from optout.embeddings.value import (
    EmbeddingValue,
    check_vectors,
    format_embedding,
    is_model_id,
    parse_embedding,
)

__all__ = [
    "RECALL",
    "EmbeddingModel",
    "EmbeddingTable",
    "EmbeddingValue",
    "Found",
    "check_vectors",
    "clip_codes",
    "format_embedding",
    "is_model_id",
    "load_model",
    "make_embedding_table",
    "parse_embedding",
]
