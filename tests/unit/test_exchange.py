import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optout.errors import BadInput, UsageError
from optout.exchange import (
    CLAIM_SCHEMA,
    ClaimBatch,
    parse_claims,
    read_claims,
    validate_selector,
    write_claims,
)
from optout.exchange.identity import Ledger
from optout.words import Decision, SelectorKind, Use
from tests.unit.picture_support import fingerprint, view

SHA, OTHER_SHA, MD5 = "a" * 64, "b" * 64, "0" * 32
#: What `optout hash` says of a white sheet.
PLAIN = f"ofp1:w.8000000000000000.{'e2' * 32}.0"


def claim(**columns: object) -> dict[str, object]:
    return {"selector": "sha256", "value": SHA, "owner": "ann", **columns}


def write_lines(path: Path, *rows: dict[str, object] | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read_all(path: Path, **options: object) -> ClaimBatch:
    batches = list(read_claims(path, **options))  # type: ignore[arg-type]
    tables = [batch.claims for batch in batches]
    return ClaimBatch(pa.concat_tables(tables), [bad for batch in batches for bad in batch.rejected])


def parse(*rows: Mapping[str, object], **options: object) -> ClaimBatch:
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    return parse_claims(table, **options)  # type: ignore[arg-type]


def only_fault(**columns: object) -> tuple[str, str]:
    batch = parse(claim(**columns))
    assert batch.claims.num_rows == 0
    (bad,) = batch.rejected
    return bad.code, bad.detail


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phash", view(1).phash.upper()),
        ("pdq", f" {view(1).pdq.upper()} "),
        ("picture", fingerprint(view(1), view(2, name="centre", quality=3)) + "\n"),
    ],
)
def test_hashes_become_canonical(kind: str, value: str) -> None:
    canonical = validate_selector(SelectorKind.parse(kind), value)
    assert canonical == value.strip().lower()
    rows = [claim(selector=kind, value=value, ref=str(number)) for number in range(300)]
    assert parse(*rows).claims["value"].to_pylist() == [canonical] * 300


def test_a_full_row_becomes_a_claim() -> None:
    (row,) = parse(
        claim(
            decision="terms",
            uses="ai-train, search",
            ref="w-1",
            valid_from="2026-01-02T03:04:05+02:00",
            terms_url="https://example.org/terms",
            title="Sunrise",
        ),
        grade=1,
    ).claims.to_pylist()
    assert row["decision"] == Decision.TERMS
    assert row["uses"] == Use.AI_TRAIN | Use.AI_TRAIN_GENERATIVE | Use.SEARCH
    assert row["valid_from"].isoformat() == "2026-01-02T01:04:05+00:00"
    assert (row["row"], row["value"], row["ref"], row["title"], row["grade"]) == (1, SHA, "w-1", "Sunrise", 1)


def test_what_is_left_out_means_deny_tdm_since_ever() -> None:
    batch = parse({"selector": "md5", "value": MD5.upper()}, default_owner="ann")
    (row,) = batch.claims.to_pylist()
    assert batch.claims.schema == CLAIM_SCHEMA
    assert (row["decision"], row["uses"], row["owner"]) == (Decision.DENY, Use.TDM.covered, "ann")
    assert (row["ref"], row["valid_from"], row["terms_url"], row["title"]) == ("", None, "", "")


@pytest.mark.parametrize(
    "uses", ["ai-input search", "ai-input,search", "search | ai-input", ["search", "ai-input"]]
)
def test_uses_are_a_list_or_words_separated_as_people_do(uses: object) -> None:
    assert parse(claim(uses=uses)).claims["uses"].to_pylist() == [Use.AI_INPUT | Use.SEARCH]


@pytest.mark.parametrize(
    ("columns", "code", "part"),
    [
        ({"selector": None}, "kind_missing", "empty"),
        ({"selector": "smell"}, "unknown_kind", "known kinds: sha256, md5"),
        ({"selector": "clip"}, "invalid_embedding", "begins with oce1:"),
        ({"selector": "picture"}, "invalid_fingerprint", "begins with ofp1:"),
        ({"selector": "picture", "value": PLAIN}, "degenerate_hash", "cannot be matched by hash"),
        ({"selector": "phash", "value": "8000000000000000"}, "degenerate_hash", "cannot be matched by hash"),
        ({"selector": "phash", "value": "80"}, "invalid_hash", "16 hexadecimal digits"),
        ({"selector": "pdq", "value": "f" * 64}, "degenerate_hash", "cannot be matched by hash"),
        ({"selector": "pdq", "value": "x" * 64}, "invalid_hash", "64 hexadecimal digits"),
        ({"value": "  "}, "value_missing", "no value"),
        ({"value": "a" * 63}, "invalid_digest", "64 hexadecimal digits"),
        ({"selector": "name", "value": "Bo"}, "name_too_common", "first and last name"),
        ({"decision": "maybe"}, "unknown_decision", "deny, allow or terms"),
        ({"uses": "ai-train, painting"}, "unknown_use", "'painting'"),
        ({"uses": ",|"}, "unknown_use", "no use is named"),
        ({"valid_from": "yesterday"}, "invalid_date", "2026-01-31"),
        ({"valid_from": "0001-01-01T00:00:00+05:00"}, "invalid_date", "2026-01-31"),
        ({"terms_url": "ftp://example.org/"}, "invalid_terms_url", "ftp://example.org/"),
        ({"terms_url": "https://[bad/"}, "invalid_terms_url", "http"),
        ({"decision": "terms"}, "terms_url_missing", "terms_url"),
        ({"owner": "a" * 201}, "too_long", "'owner' is longer than 200"),
        ({"ref": "a" * 201}, "too_long", "'ref'"),
        ({"title": "a" * 501}, "too_long", "'title'"),
        ({"ref": "a\0b"}, "control_character", "'ref'"),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence(columns: dict[str, object], code: str, part: str) -> None:
    found, detail = only_fault(**columns)
    assert found == code
    assert part in detail


def test_only_the_bad_rows_are_refused_and_each_is_named(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "claims.jsonl",
        claim(),
        "{broken",
        "",
        claim(value="short"),
        "[1, 2]",
        claim(owner=["ann"]),
        claim(value=OTHER_SHA),
    )
    batch = read_all(path)
    assert batch.claims["row"].to_pylist() == [1, 7]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [
        (2, "malformed_json"),
        (4, "invalid_digest"),
        (5, "malformed_json"),
        (6, "wrong_type"),
    ]
    assert batch.rejected[0].excerpt == "{broken"


def test_rows_of_one_ref_are_one_claim_and_may_not_disagree() -> None:
    batch = parse(
        claim(ref="7"),
        claim(ref="7", value=OTHER_SHA),
        claim(ref="7", selector="md5", value=MD5, decision="allow"),
        claim(ref="7", owner="ben", decision="allow"),
    )
    ids = batch.claims["claim_id"].to_pylist()
    assert ids[0] == ids[1] != ids[2]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(3, "conflicting_ref")]


def test_rows_without_ref_are_one_claim_when_they_state_the_same() -> None:
    batch = parse(
        claim(), claim(value=OTHER_SHA), claim(value=OTHER_SHA, decision="allow"), claim(owner="ben")
    )
    assert len(set(batch.claims["claim_id"].to_pylist())) == 3


def test_a_contradiction_is_found_across_batches(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "claims.jsonl", *[claim(ref="7")] * 50, claim(ref="7", decision="allow"))
    batch = read_all(path, batch_rows=1)
    assert batch.claims.num_rows == 50
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(51, "conflicting_ref")]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_what_is_written_reads_back_the_same(tmp_path: Path, name: str) -> None:
    claims = parse(
        claim(title='with "quotes", commas', uses="tdm ai-input", valid_from="2026-01-02T03:04:05.678901Z"),
        claim(selector="name", value="Zoë Ångström", ref="x"),
        claim(selector="md5", value=MD5, decision="terms", terms_url="https://example.org/t?a=1,2"),
    ).claims
    write_claims(claims, tmp_path / name)
    again = read_all(tmp_path / name)
    assert again.rejected == []
    assert again.claims.drop_columns("row").equals(claims.drop_columns("row"))


def test_compressed_lines_are_read_and_a_cut_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(claim()).encode() + b"\n"))
    assert read_all(path).claims.num_rows == 1
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(BadInput, match=r"claims\.jsonl\.gz is not a complete gzip file"):
        read_all(path)


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.csv", "empty.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(BadInput, match=f"{name} is empty") as caught:
        read_all(tmp_path / name)
    assert caught.value.code == "empty_file"


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.jsonl cannot be read: No such file"):
        read_all(tmp_path / "gone.jsonl")
    with pytest.raises(UsageError, match=r"must end in \.jsonl"):
        read_all(tmp_path / "claims.txt")


def test_invalid_utf8_is_refused_by_row(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    good = json.dumps(claim(title="Zoë"), ensure_ascii=False).encode()
    path.write_bytes(good + b"\n" + good.replace("ë".encode(), b"\xff") + b"\n" + good + b"\n")
    batch = read_all(path)
    assert batch.claims["row"].to_pylist() == [1, 3]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(2, "invalid_utf8")]


def test_a_csv_counts_rows_as_a_spreadsheet_does(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(
        f'\ufeffselector,value,title\nsha256,{SHA},"two\nlines"\nsha256,{SHA}\nmd5,"{MD5}",ok\n\nmd5,{MD5},"open\n'
    )
    batch = read_all(path)
    assert batch.claims["row"].to_pylist() == [4]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [
        (2, "control_character"),
        (3, "wrong_column_count"),
        (6, "bad_quoting"),
    ]


def test_a_csv_without_the_needed_columns_names_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("kind,url\nurl,https://example.org/\n")
    with pytest.raises(
        BadInput, match=r"claims\.csv has no column 'selector' or 'value'; its columns are: kind, url"
    ):
        read_all(path)


@pytest.mark.parametrize(("mark", "called"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_csv_without_commas_says_what_it_has_instead(tmp_path: Path, mark: str, called: str) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(f"selector{mark}value\ndomain{mark}a.example\n")
    with pytest.raises(BadInput, match=f"has {called} between its columns, not commas"):
        read_all(path)


def test_parquet_rows_count_from_one_and_types_with_an_obvious_text_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "claims.parquet"
    table = pa.table(
        {
            "selector": pa.array(["md5", "md5"]).dictionary_encode(),
            "value": [MD5, "no"],
            "ref": [7, 8],
            "valid_from": pa.array([0, 0], pa.date32()),
            "uses": [["search"], None],
        }
    )
    pq.write_table(table, path)
    batch = read_all(path)
    (row,) = batch.claims.to_pylist()
    assert (row["row"], row["ref"], row["valid_from"].year, row["uses"]) == (1, "7", 1970, Use.SEARCH)
    assert [bad.row for bad in batch.rejected] == [2]


def test_a_parquet_cut_short_and_one_without_the_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.parquet"
    pq.write_table(pa.table({"url": ["x"] * 1000}), path)
    with pytest.raises(
        BadInput, match=r"claims\.parquet has no column 'selector' or 'value'; its columns are: url"
    ):
        read_all(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"claims\.parquet is not a complete Parquet file") as caught:
        read_all(path)
    assert caught.value.code == "broken_parquet"


def test_a_block_with_one_bad_line_gives_the_same_rows_as_one_without(tmp_path: Path) -> None:
    rows = [claim(ref=str(number), title=f"No. {number}, Zoë", uses="search") for number in range(20)]
    good = read_all(write_lines(tmp_path / "good.jsonl", *rows))
    bad = read_all(write_lines(tmp_path / "bad.jsonl", *rows, "{"))
    assert good.rejected == []
    assert [fault.row for fault in bad.rejected] == [21]
    assert bad.claims.equals(good.claims)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_quoted_line_breaks_survive_being_cut_into_blocks(
    tmp_path: Path, newline: str, batch_rows: int
) -> None:
    path = tmp_path / "claims.csv"
    lines = [f'md5,{number:032x},"{number}, ""the"" one","a{newline}b"' for number in range(50)]
    path.write_bytes(newline.join(["selector,value,title,note", *lines]).encode())
    batch = read_all(path, batch_rows=batch_rows)
    assert batch.rejected == []
    assert batch.claims["row"].to_pylist() == list(range(2, 52))
    assert batch.claims["title"].to_pylist() == [f'{number}, "the" one' for number in range(50)]


def test_one_open_quote_costs_one_row_of_a_large_csv(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    lines = [f"md5,{number:032x},fine" for number in range(300)]
    lines[100] = f'md5,{100:032x},"open'
    path.write_text("\n".join(["selector,value,title", *lines]))
    batch = read_all(path, batch_rows=1)
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(102, "bad_quoting")]
    assert batch.claims.num_rows == 299


def test_a_column_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(f"selector,value,value\nmd5,{MD5},{MD5}\n")
    with pytest.raises(BadInput, match="the column 'value' more than once"):
        read_all(path)


def test_a_line_of_megabytes_costs_only_itself(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "claims.jsonl", claim(), claim(title="x" * 3_000_000), claim(ref="2"))
    batch = read_all(path)
    assert batch.claims["row"].to_pylist() == [1, 3]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(2, "too_long")]
    assert len(batch.rejected[0].excerpt) <= 200


def test_emoji_escaped_as_surrogates_are_read_and_half_a_pair_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "claims.jsonl", claim(title="🎨"), '{"selector":"md5","value":"\\ud83c"}')
    assert "\\ud83c" in path.read_text()
    batch = read_all(path)
    assert batch.claims["title"].to_pylist() == ["🎨"]
    assert [(bad.row, bad.code) for bad in batch.rejected] == [(2, "malformed_json")]


def test_many_claims_stay_apart_while_the_ledger_grows() -> None:
    rows = [claim(ref=str(number), decision=["deny", "allow"][number % 2]) for number in range(5_000)]
    ledger = Ledger()
    table = pa.Table.from_pylist(rows)
    for start in range(0, 5_000, 700):
        assert parse_claims(table.slice(start, 700), ledger=ledger).rejected == []
    again = parse_claims(table.slice(0, 2), ledger=ledger)
    assert again.rejected == []
    other = parse_claims(pa.Table.from_pylist([claim(ref="4999", decision="deny")]), ledger=ledger)
    assert [bad.code for bad in other.rejected] == ["conflicting_ref"]


def test_many_urls_at_once_become_what_each_alone_becomes() -> None:
    urls = [
        f"HTTP://www.Example.org:80/a%7e{number}?utm_source=x&amp;n={number}#top" for number in range(300)
    ]
    urls[7], urls[8] = "javascript:alert(1)", "https://пример.испытание/ä"
    batch = parse(*[{"selector": "url", "value": url} for url in urls], default_owner="ann")
    (bad,) = batch.rejected
    assert (bad.row, bad.excerpt) == (8, "url javascript:alert(1)")
    expected = [validate_selector(SelectorKind.URL, url) for url in urls if not url.startswith("javascript")]
    assert batch.claims["value"].to_pylist() == expected
    assert expected[0] == "example.org/a~0?n=0"


def test_prefixes_domains_and_names_are_made_canonical_too() -> None:
    rows = [("prefix", "https://example.org/art/"), ("domain", "Example.ORG."), ("name", "Zoë  ÅNGSTRÖM")]
    batch = parse(
        *[{"selector": kind, "value": value} for kind, value in rows],
        {"selector": "domain", "value": "co.uk"},
    )
    assert batch.claims["value"].to_pylist() == ["example.org/art", "example.org", "zoe angstrom"]
    assert [bad.row for bad in batch.rejected] == [4]


@pytest.mark.parametrize("name", ["claims.jsonl", "claims.csv", "claims.parquet"])
def test_a_damaged_file_gives_rows_or_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    chance, path = Random(5), tmp_path / name
    write_claims(parse(claim(title="Zoë"), claim(selector="name", value="Åsa Berg")).claims, path)
    whole = path.read_bytes()
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_all(path).claims.validate(full=True)
        except BadInput as error:
            assert name in str(error)  # noqa: PT017 - either outcome is fine
