"""Every setting of the service, from the environment alone (config/environment.py lists the variables).

Embedded mode is one machine and one person: it listens on loopback, makes its own secrets and shows its
mail on a page. Outside it nothing has an insecure default, and what is missing is named.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from api import conf
from config import logs
from config.embedded.record import read_services, secret, signing_key
from config.environment import Environment

_env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA = Path(_env.text("OPTOUT_DATA")).expanduser().resolve()
EMBEDDED = _env.flag("OPTOUT_EMBEDDED", default=not (_env.has("DATABASE_URL") and _env.has("REDIS_URL")))
_services = read_services(DATA) if EMBEDDED else {}
for _folder in ("static", "uploads"):
    (DATA / _folder).mkdir(parents=True, exist_ok=True)
if not os.access(BASE_DIR / "optout", os.W_OK):
    # Compiled kernels stay beside their source; who may not write there keeps them with the data.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(DATA / "numba"))

# --- Secrets and addresses
DEBUG = False
OPTOUT_SIGNING_KEY: Path | None
if EMBEDDED:
    SECRET_KEY = _env.text("SECRET_KEY") or secret(DATA, "django")
    OPTOUT_KEY_PEPPER = _env.text("OPTOUT_KEY_PEPPER") or secret(DATA, "key-pepper")
    OPTOUT_SIGNING_KEY = Path(_env.text("OPTOUT_SIGNING_KEY", str(signing_key(DATA))))
    OPTOUT_URL = _env.text("OPTOUT_URL") or _services.get("web", "")
    ALLOWED_HOSTS = _env.words("ALLOWED_HOSTS")
else:
    SECRET_KEY = _env.required("SECRET_KEY", "it signs sessions and codes")
    OPTOUT_KEY_PEPPER = _env.required("OPTOUT_KEY_PEPPER", "it protects the digests of API keys")
    OPTOUT_SIGNING_KEY = (
        Path(_env.required("OPTOUT_SIGNING_KEY", "it names the key that signs snapshots"))
        if _env.has("OPTOUT_SIGNING_KEY") or not _env.has("OPTOUT_TRUSTED_KEYS")
        else None
    )
    OPTOUT_URL = _env.required("OPTOUT_URL", "mail and receipts name the public address")
    _env.required("ALLOWED_HOSTS", "only these host names are answered")
    ALLOWED_HOSTS = _env.words("ALLOWED_HOSTS")
if OPTOUT_URL and urlsplit(OPTOUT_URL).scheme not in {"http", "https"}:
    raise ImproperlyConfigured(f"OPTOUT_URL must begin with https:// or http://, not {OPTOUT_URL!r}.")
OPTOUT_TRUSTED_KEYS = [Path(path) for path in _env.words("OPTOUT_TRUSTED_KEYS")]
CSRF_TRUSTED_ORIGINS = [OPTOUT_URL.rstrip("/")] if OPTOUT_URL and not EMBEDDED else []
NUM_PROXIES = _env.integer("NUM_PROXIES")
OPTOUT_METRICS_TOKEN = _env.text("OPTOUT_METRICS_TOKEN")

# --- Database, Valkey, objects
_database_url = _env.text("DATABASE_URL") or _services.get("database", "")
_database = environ.Env.db_url_config(_database_url or "postgres:///optout")
if not _database_url:
    # A path that says what is wrong, for whoever reads "no such file" in the error of a command.
    _database["HOST"] = str(DATA / "not-running-start-with-manage.py-serve")
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL must begin with postgres://: there is one SQL dialect.")
_milliseconds = {
    "statement_timeout": 1000 * _env.integer("OPTOUT_STATEMENT_TIMEOUT"),
    "lock_timeout": 1000 * _env.integer("OPTOUT_LOCK_TIMEOUT"),
}
_database.setdefault("OPTIONS", {})
_database["OPTIONS"] |= {
    "application_name": "optout",
    "connect_timeout": 5,
    "options": " ".join(f"-c {name}={value}" for name, value in _milliseconds.items()),
}
DATABASES: dict[str, Any] = {
    "default": {**_database, "CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = _env.text("REDIS_URL") or _services.get("valkey", "redis://127.0.0.1:1/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "optout",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2, "health_check_interval": 30},
    }
}
OPTOUT_STORAGE = _env.text("OPTOUT_STORAGE", str(DATA / "objects"))
OPTOUT_S3_ENDPOINT = _env.text("OPTOUT_S3_ENDPOINT")

# --- Applications
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_prometheus",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "config",
    "registry",
    "api",
    "workers",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Accounts: e-mail and a code, no password
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "portal:claims"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 600
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_FORMS = {
    "add_email": "registry.portal.sign_in.AddEmailForm",
    "confirm_email_verification_code": "registry.portal.sign_in.ConfirmEmailForm",
    "confirm_login_code": "registry.portal.sign_in.ConfirmLoginForm",
    "login": "registry.portal.sign_in.LoginForm",
    "request_login_code": "registry.portal.sign_in.RequestCodeForm",
    "signup": "registry.portal.sign_in.SignupForm",
}
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if EMBEDDED else "https"
ALLAUTH_TRUSTED_PROXY_COUNT = NUM_PROXIES
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# --- Mail
OPTOUT_MAILBOX = DATA / "mail"
DEFAULT_FROM_EMAIL = _env.text("DEFAULT_FROM_EMAIL")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
if _env.has("EMAIL_URL") or not EMBEDDED:
    globals().update(
        environ.Env.email_url_config(_env.required("EMAIL_URL", "sign-in codes are sent by mail"))
    )
else:
    EMAIL_BACKEND = "config.mailbox.FolderBackend"

# --- Security
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not EMBEDDED
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_HSTS_SECONDS = 0 if EMBEDDED else 31536000
SECURE_SSL_REDIRECT = not EMBEDDED
# The proxy before us ends TLS, and says so; without one nobody may claim it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if NUM_PROXIES else None
DATA_UPLOAD_MAX_MEMORY_SIZE = _env.integer("OPTOUT_MAX_BODY", least=1)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 500  # a form takes 100, and says so itself
FILE_UPLOAD_MAX_MEMORY_SIZE = 0  # every uploaded file goes to disk at once
FILE_UPLOAD_TEMP_DIR = str(DATA / "uploads")
FILE_UPLOAD_HANDLERS = ["config.uploads.LimitedFiles"]
OPTOUT_MAX_UPLOAD = _env.integer("OPTOUT_MAX_UPLOAD", least=1)

# --- Pictures
OPTOUT_MAX_PICTURE = _env.integer("OPTOUT_MAX_PICTURE", least=1)
OPTOUT_MOST_WAITING = _env.integer("OPTOUT_MOST_WAITING", least=1)
OPTOUT_CLIP_MODEL = _env.text("OPTOUT_CLIP_MODEL")
OPTOUT_CLIP_DEVICE = next(iter(_env.words("OPTOUT_CLIP_DEVICES")), "")
OPTOUT_FETCH_ALLOW = _env.words("OPTOUT_FETCH_ALLOW")
OPTOUT_FLOOD_SAMPLE = _env.text("OPTOUT_FLOOD_SAMPLE")
OPTOUT_FLOOD_SHARE = _env.share("OPTOUT_FLOOD_SHARE")

# --- Languages, time, static files
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA / "media")},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- REST
REST_FRAMEWORK = conf.REST_FRAMEWORK
SPECTACULAR_SETTINGS: dict[str, Any] = {**conf.SPECTACULAR_SETTINGS}
# The API's, and what one address may look up in the portal.
RATES = {**conf.API_RATES, "lookup": "60/m burst 30", "lookup-picture": "20/m burst 10"}
# One thread of each process stays free for requests that need not wait.
API_PACED_REQUESTS = max(1, _env.integer("OPTOUT_WEB_THREADS", least=1) - 1)

# --- Tasks
CELERY_BROKER_URL = REDIS_URL
# A task whose worker vanished is given to another after this time, which no living task may reach.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600 + 300,
    "socket_keepalive": True,
    "socket_connect_timeout": 2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT - 60
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "workers.imports.*": {"queue": "imports"},
    "workers.snapshots.*": {"queue": "snapshots"},
    "workers.hashing.hash_upload": {"queue": "hashing"},
    "workers.fetching.*": {"queue": "fetching"},
    "workers.embedding.*": {"queue": "embedding"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA / "run" / "beat")
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Logs
logs.configure()
LOGGING = logs.logging_settings(lines=EMBEDDED, level=_env.text("OPTOUT_LOG_LEVEL").upper())
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # it believes everybody; registry/apps.py does not
