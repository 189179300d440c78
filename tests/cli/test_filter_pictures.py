"""`optout filter` by what pictures look like, together with all else that claims go by."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from optout.hashes import hash_picture
from tests.cli.command_support import Home, Ran, build
from tests.cli.tar_support import contents, keys, sample, write_members, write_tar
from tests.unit.picture_support import PHOTOGRAPHS

Command = Callable[..., Ran]

CLAIMED, FREE = PHOTOGRAPHS[0], PHOTOGRAPHS[1:]


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copies() -> dict[str, bytes]:
    """The claimed picture as data sets have it, and others."""
    with Image.open(CLAIMED) as opened:
        image = opened.convert("RGB")
    small = image.resize((256, 256))
    free = [Image.open(path).convert("RGB").resize((256, 256)) for path in FREE]
    return {
        "recompressed": jpeg(image, 40),
        "resized": jpeg(small),
        "mirrored": jpeg(ImageOps.mirror(small)),
        "turned": jpeg(small.transpose(Image.Transpose.ROTATE_90)),
        "padded": jpeg(ImageOps.pad(image, (384, 256), color="white")),
        **{f"free{number}": jpeg(each) for number, each in enumerate(free)},
    }


EDITED = ["mirrored", "padded", "recompressed", "resized", "turned"]
OTHERS = [f"free{number}" for number in range(len(FREE))]


@pytest.fixture(scope="module")
def claimed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot with the fingerprint of one photograph, a domain and a digest."""
    claims = [
        {
            "selector": "picture",
            "value": hash_picture(CLAIMED).fingerprint,
            "decision": "deny",
            "owner": "eva",
        },
        {"selector": "domain", "value": "denied.example", "decision": "deny", "owner": "dora"},
        {
            "selector": "sha256",
            "value": hash_picture(copies()["free1"]).sha256,
            "decision": "deny",
            "owner": "fay",
        },
    ]
    return build(tmp_path_factory.mktemp("claimed") / "snapshot", claims, home.private)


@pytest.fixture
def go(optout: Command, claimed: Path) -> Command:
    def go(source: Path, out: Path, *arguments: object) -> Ran:
        return optout("filter", source, "--snapshot", claimed, "--out", out, "--json", *arguments)

    return go


def in_tar(path: Path, pictures: dict[str, bytes], host: str = "fine.example") -> Path:
    samples = {}
    for number, (key, content) in enumerate(pictures.items()):
        samples[key] = {**sample(number, f"https://{host}/{key}"), "jpg": content}
    return write_tar(path, samples)


def test_copies_of_a_claimed_picture_leave_a_tar(go: Command, tmp_path: Path) -> None:
    ran = go(in_tar(tmp_path / "a.tar", copies()), tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.json["reasons"] == {"picture": len(EDITED), "sha256": 1}
    assert keys(tmp_path / "out" / "a.tar") == ["free0", "free2"]


def test_copies_of_a_claimed_picture_leave_a_folder(go: Command, tmp_path: Path) -> None:
    for name, content in copies().items():
        path = tmp_path / "in" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    ran = go(tmp_path / "in", tmp_path / "out")
    assert (ran.code, ran.json["reasons"]) == (0, {"picture": len(EDITED), "sha256": 1})
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.jpg")) == ["free0", "free2"]


def test_every_rule_counts_for_itself(go: Command, tmp_path: Path) -> None:
    pictures = copies()
    samples = {
        "both": {**sample(0, "https://denied.example/1"), "jpg": pictures["resized"]},
        "address": {**sample(0, "https://denied.example/2"), "jpg": pictures["free0"]},
        "look": {**sample(0, "https://fine.example/3"), "jpg": pictures["mirrored"]},
        "free": {**sample(0, "https://fine.example/4"), "jpg": pictures["free0"]},
    }
    ran = go(write_tar(tmp_path / "a.tar", samples), tmp_path / "out")
    # Of the rules that speak the most specific is told.
    assert ran.json["reasons"] == {"domain": 1, "picture": 2}
    assert keys(tmp_path / "out" / "a.tar") == ["free"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (copies()["free0"][:2000], "is not a picture that can be decoded"),
        (b"not a picture, but called one", "no picture format that is read here begins like this"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is a drawing in SVG"),
    ],
    ids=["empty", "cut short", "text", "SVG"],
)
def test_pictures_that_cannot_be_judged(go: Command, tmp_path: Path, content: bytes, said: str) -> None:
    source = in_tar(tmp_path / "a.tar", {"bad": content, "free": copies()["free0"]})
    ran = go(source, tmp_path / "out")
    assert (ran.code, ran.json["error_reasons"]) == (0, {"picture": 1})
    assert len(ran.json["error_items"]) == 1
    assert ran.json["error_items"][0].startswith("a.tar: bad.jpg")
    assert said in ran.json["error_items"][0]
    assert keys(tmp_path / "out" / "a.tar") == ["free"]
    assert go(source, tmp_path / "kept", "--keep-errors").json["kept"] == 2


def test_a_sample_of_several_pictures_goes_if_one_is_claimed(go: Command, tmp_path: Path) -> None:
    pictures = copies()
    pairs = {"mixed": ("free0", "resized"), "free": ("free0", "free2"), "broken": ("free0", "junk")}
    members = [
        (f"{key}.{side}.jpg", pictures.get(name, b"junk"))
        for key, names in pairs.items()
        for side, name in zip(("left", "right"), names, strict=True)
    ]
    ran = go(write_members(tmp_path / "a.tar", members), tmp_path / "out")
    assert (ran.code, ran.json["reasons"], ran.json["error_reasons"]) == (0, {"picture": 1}, {"picture": 1})
    assert list(contents(tmp_path / "out" / "a.tar")) == ["free.left.jpg", "free.right.jpg"]


def test_an_owner_may_use_his_own_pictures(go: Command, tmp_path: Path) -> None:
    source = in_tar(tmp_path / "a.tar", copies())
    ran = go(source, tmp_path / "out", "--owner", "eva")
    assert (ran.json["reasons"], ran.json["outcomes"]["allowed"]) == ({"sha256": 1}, len(EDITED))


def test_weaker_evidence_counts_when_asked_for(go: Command, tmp_path: Path) -> None:
    with Image.open(CLAIMED) as opened:
        image = opened.convert("RGB")
    edges = {name: image.width * cut // 1000 for name, cut in (("less", 20), ("more", 30))}
    cropped = {name: jpeg(ImageOps.crop(image, edge)) for name, edge in edges.items()}
    source = in_tar(tmp_path / "a.tar", {**cropped, "free": copies()["free0"]})
    kept = {}
    for tier in ("match", "probable", "review"):
        go(source, tmp_path / tier, "--evidence", tier)
        kept[tier] = keys(tmp_path / tier / "a.tar")
    assert kept == {"match": ["less", "more", "free"], "probable": ["more", "free"], "review": ["free"]}
