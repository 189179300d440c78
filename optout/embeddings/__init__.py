"""Embeddings of pictures: the text that claims carry, the models, and the table that is searched.

torch is imported only by what runs a model, when it first does.
"""

from optout.embeddings.value import (
    EmbeddingValue,
    check_vectors,
    format_embedding,
    is_model_id,
    parse_embedding,
)

__all__ = ["EmbeddingValue", "check_vectors", "format_embedding", "is_model_id", "parse_embedding"]
