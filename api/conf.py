"""What the API asks of the settings module, and the limits it keeps. Imports nothing of Django."""

from typing import Any, Final

MIB: Final = 1024 * 1024

# One call of `check`; above it the whole call is refused: nobody shall take a partial answer for a full one.
MAX_ITEMS: Final = 10_000
MAX_ITEMS_ANONYMOUS: Final = 100
MAX_ITEMS_ARROW: Final = 100_000

# Bytes of a JSON body that registers something; `check` takes OPTOUT_MAX_BODY, uploads OPTOUT_MAX_UPLOAD.
MAX_BODY_JSON: Final = 2 * MIB
# Pictures of one `check`: they are hashed while the caller waits.
MAX_PICTURES_CHECK: Final = 20
MAX_PICTURES_ANONYMOUS: Final = 1
# Bytes of a form with pictures; each of them may have OPTOUT_MAX_PICTURE.
MAX_PICTURES_BODY: Final = 512 * MIB

# Requests in a period, and how many may come at once. The `spawning` bucket serves 100 requests at once, 50 a
# second, which is what the Hugging Face data set viewer sends; what comes faster waits instead of failing.
API_RATES: Final[dict[str, str]] = {
    "anonymous": "60/m burst 20",
    "key": "12000/m burst 600",
    "spawning": "6000/m burst 200",
    "uploads": "600/m burst 100",
}
# Seconds a Spawning request may be held back; the client gives up after 20.
MAX_PACING_SECONDS: Final = 8.0

REST_FRAMEWORK: Final[dict[str, Any]] = {
    "DEFAULT_SCHEMA_CLASS": "api.openapi.Schema",
    "EXCEPTION_HANDLER": "api.problems.handle",
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.auth.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["api.throttles.KeyThrottle"],
    "DEFAULT_PARSER_CLASSES": ["api.formats.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["api.formats.JsonRenderer"],
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Optout Registry",
    "DESCRIPTION": (
        "Claims say what may and what may not be used for training; `check` answers for URLs, digests, "
        "pictures and captions. "
        "Errors are RFC 9457 problem documents. An answer is never `allowed` because something broke."
    ),
    "VERSION": "1.0.0",
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v[0-9]",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "SORT_OPERATIONS": True,
    "ENUM_NAME_OVERRIDES": {
        "Use": "api.serializers.USES",
        "Decision": "api.serializers.DECISIONS",
        "Outcome": "api.serializers.OUTCOMES",
        "SelectorKind": "api.serializers.KINDS",
        "ClaimStatus": "api.serializers.STATUSES",
        "UploadState": "api.serializers.UPLOAD_STATES",
        "EmbeddingState": "api.serializers.EMBEDDING_STATES",
        "Tier": "api.serializers.TIERS",
    },
    "TAGS": [
        {"name": "check", "description": "What the registry says about items."},
        {"name": "claims", "description": "One's own claims."},
        {"name": "pictures", "description": "The pictures of claims, hashed and forgotten."},
        {"name": "imports", "description": "Claims by the million, as claim exchange files."},
        {"name": "snapshots", "description": "The signed directories that `optout filter` reads."},
        {"name": "keys", "description": "Who a key belongs to."},
        {"name": "spawning", "description": "Spawning's protocol, for clients that speak it today."},
    ],
}
