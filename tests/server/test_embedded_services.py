"""The PostgreSQL and Valkey that the tests themselves stand on."""

import pytest
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_the_database_is_postgresql_18() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) // 10000 == 18


def test_the_cache_is_valkey() -> None:
    cache.set("word", "kept", 10)
    assert cache.get("word") == "kept"
