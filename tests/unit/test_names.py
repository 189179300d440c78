import pytest

from optout.errors import InvalidSelector
from optout.names import fold, tokens, validate_name


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Zoë ÅNGSTRÖM", "zoe angstrom"),
        ("Straße", "strasse"),
        ("O'Neill, by Ann-Marie", "o neill by ann marie"),
        ("e\u0301clair", "eclair"),
        ("soft\u00adhyphen", "softhyphen"),
        ("ﬁne \uff21\uff22", "fine ab"),
        ("草間彌生 art", "草 間 彌 生 art"),
        ("  ", ""),
        (b"caf\xc3\xa9 \xffx", "cafe x"),
        (b"a\xffb", "a b"),
    ],
)
def test_fold(text: str | bytes, folded: str) -> None:
    assert fold(text) == folded
    assert " ".join(tokens(text)) == folded


@pytest.mark.parametrize("name", ["Banksy", "Ai Weiwei", "草間", "J. M. W. Turner", "Su Shi"])
def test_a_name_that_tells_somebody_is_taken(name: str) -> None:
    assert validate_name(name) == fold(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name_too_common"),
        ("Bo", "name_too_common"),
        ("!!!", "name_too_common"),
        ("a b", "name_too_common"),
        ("草", "name_too_common"),
        ("la " * 17, "name_too_long"),
        ("x" * 201, "name_too_long"),
    ],
)
def test_a_name_that_would_match_everything_is_refused(name: str, code: str) -> None:
    with pytest.raises(InvalidSelector) as caught:
        validate_name(name)
    assert caught.value.code == code
