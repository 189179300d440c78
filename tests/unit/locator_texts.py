"""Hypothesis strategies that put together nasty URLs from the tokens that the rules look for."""

from hypothesis import strategies as st

_SCHEMES = [
    b"http://", b"https://", b"HTTP:", b"http:/\\/", b"//", b"/", b"", b"ftp://", b"data:", b" http://",
    b"\thttps://", b"http&#58;//", b"\\\\", b"x:", b"http://user:pw@", b"http://a@b@",
]  # fmt: skip
_HOSTS = [
    b"example.org", b"www.example.org", b"WWW.www.Example.org", b"www.com", b"i0.wp.com",
    b"images.weserv.nl", b"cdn.statically.io", b"a.cdn.ampproject.org", b"external-content.duckduckgo.com",
    b"secureservercdn.net", b"cdn.shopify.com", b"i.pinimg.com", b"m.media-amazon.com",
    b"1.bp.blogspot.com", b"lh3.googleusercontent.com", b"static.wixstatic.com", b"res.cloudinary.com",
    b"farm3.static.flickr.com", b"64.media.tumblr.com", b"upload.wikimedia.org", b"i.ebayimg.com",
    b"i.etsystatic.com", b"sc01.alicdn.com", b"i.ytimg.com", b"media.gettyimages.com", b"xwp.com",
    b"p1.trrsf.com", b"cdn.shortpixel.ai", b"hips.hearstapps.com", b"wp.com", "bücher.example".encode(),
    "☃.example".encode(), b"%65xample.org", b"[::1]", b"[::ffff:1.2.3.4]", b"[zz]", b"192.0.2.1",
    b"localhost", b"a..b.org", b".a.org", b"a.org.", b"a.org..", b"a_b.example.org", b"a b.org",
    b"a&amp;b.org", b"xn--bcher-kva.de", "a。org".encode(), b"x" * 250 + b".org",
    b"x" * 120 + b"." + b"y" * 126 + b".a.bc", b"a;b.org", b"-a.org",
]  # fmt: skip
_PORTS = [
    b"", b"", b"", b"", b":", b":80", b":0443", b":8080", b":00", b":99999", b":65535", b":65536", b":x",
    b":1:2",
]  # fmt: skip
_WORDS = [
    b"a", b"gallery", b"photo", b"B", b"s320", b"s1600-c", b"w640-h480", b"236x", b"originals", b"300x200",
    b"32x32", b"24x36", b"12x100", b"thumb", b"thumbs", b"bb", b"c_fill,w_300", b"v1562", b"v1", b"img",
    b"i", b"s", b"ii", b"w680", b"cdn-cgi", b"image", b"_next", b"image", b"width=80,quality=75",
    b"f=auto,w=1", b"166.62.108.196", b"spai", b"w_300+q_lossy", b"client", b"fget", b"cf", b"375", b"web",
    b"20200101im_", b"..", b".", b"%2e%2E", b"", b"wp-content", b"http:", b"https:", b"http%3A",
    b"HTTPS%3a%2F%2Fexample.org%2Fb%20c", b"http%3a%2f%2fi1.wp.com%2Fexample.org%2Fa-300x200.jpg",
    b"http%3A%2F", b"s500x750", b"l300", b"d", b"75x75_RS", b"*", b"(x)", b"a;b", b"a=b", b"a&amp;b",
    b"a&amp;amp;b", b"wikipedia",
]  # fmt: skip
_STEMS = [
    b"a", b"lego", b"IMG_1234", b"il_340x270.123", b"il_570xN.1", b"51HvPT", b"RHKfXh", b"", b"x.jpg",
    b"hqdefault", b"0", b"s-l225", b"$_35", b"300px-Le", b"_",
]  # fmt: skip
_SUFFIXES = [
    b"", b"", b"-300x200", b"_300x300", b".600x400", b"-2x4", b"-32x32", b"-10x10", b"-24x36",
    b"-99999x300", b"-100x", b"_100x", b"_x240", b"_large", b"_Grande", b"_crop_center", b"@2x", b"@2X",
    b"-scaled", b"-SCALED", b"._AC_SL160_", b"=s220", b"=w300-h200-no", b"_b", b"_m_d", b"_500", b"_500sq",
    b".summ", b"_640x640q70", b"_Q90", b"_220x220xz", b".jpg_220x220", b".JPEG-300x200", b".progressive",
    b"%2D300x200", b"-300X200", b"-100x1", b"_1_2_3_4_5", b"_12345", b"_123456x",
]  # fmt: skip
_EXTENSIONS = [
    b".jpg", b".JPG", b".png", b".jpeg", b"", b".", b".webp", b".jpg_.webp", b".x-1", b".abcdef", b".html",
]  # fmt: skip
_QUERIES = [
    b"w=300", b"h=20%2C30", b"width=", b"w=12345678901234567", b"w=1234567890123456", b"quality=hello",
    b"W=10", b"v=1537271812", b"v=12345678", b"v=01234567890123456789", b"1545378746", b"x", b"=",
    b"utm_source=a", b"UTM_x", b"fbclid=1", b"_ga", b"_g=1",
    b"url=http%3A%2F%2Fexample.org%2Fa.jpg%3Fw%3D3", b"src=https://www.example.org/a-300x200.jpg",
    b"u=example.org%2Fa", b"url=%2Fimages%2Fa.jpg", b"url=//example.org/a", b"ref=http://example.org/",
    b"http://example.org/b.jpg", b"url=http%3a%2f%2fb%C3%BCcher.example%2F", b"", b"amp;x=1", b"a=b=c",
    b"%75tm_source=1", b"url=ssl:example.org/a", b"id=5", b"resize=300%3A200", b"fit=1*2",
    b"url=https:%5C%5Cexample.org", b"u=HTTP:/i0.wp.com/example.org/x/y",
]  # fmt: skip
_ODDITIES = [
    b"%", b"%4", b"%zz", b"%41", b"%2f", b"%00", b"%E9", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\\", b"#",
    b"?", b"&", b"&lt;", b"&#39;", b"&#x3f;", b"&#47;", b"&#0;", b"&#9;", b"&quot;", b"&QUOT;",
    b"&#00000038;", b" ", b"\n", b"\x00", b"\x7f", b"@", b":", b";", b"/", b"//", b'"', b"[", b"|",
    b"\xf0\x9f\x98\x80", b"http:/", b"=", b"%3A", b"%3B",
]  # fmt: skip

_path = st.lists(st.sampled_from(_WORDS + _HOSTS[:4]), max_size=6).map(b"/".join)
_name = st.tuples(
    st.sampled_from(_STEMS),
    st.lists(st.sampled_from(_SUFFIXES), max_size=3).map(b"".join),
    st.sampled_from(_EXTENSIONS),
).map(b"".join)
_query = st.lists(st.sampled_from(_QUERIES), max_size=4).flatmap(
    lambda parts: st.sampled_from([b"&", b"&amp;"]).map(lambda sep: sep.join(parts))
)
_plain = st.tuples(
    st.sampled_from(_SCHEMES[:3] * 4 + _SCHEMES),
    st.sampled_from(_HOSTS),
    st.sampled_from(_PORTS),
    st.sampled_from([b"/", b"/", b"/", b"", b"\\"]),
    _path,
    st.sampled_from([b"/", b"/", b""]),
    _name,
    st.sampled_from([b"", b"?", b"?", b"#", b"?w=1#"]),
    _query,
).map(b"".join)


def _insert(pieces: tuple[bytes, list[tuple[int, bytes]]]) -> bytes:
    text, oddities = pieces
    for at, oddity in oddities:
        cut = at % (len(text) + 1)
        text = text[:cut] + oddity + text[cut:]
    return text


_odd = st.tuples(
    _plain, st.lists(st.tuples(st.integers(0, 200), st.sampled_from(_ODDITIES)), max_size=3)
).map(_insert)
_long = st.tuples(
    _odd,
    st.sampled_from([b"a", b"/", "é".encode(), b"_1", b"%2e%2e/", b"&w=1", b"&x=%"]),
    st.integers(100, 9000),
).map(lambda parts: parts[0] + parts[1] * (parts[2] // len(parts[1])))
_proxied = st.tuples(
    st.sampled_from(
        [
            b"http://i0.wp.com/",
            b"http://web.archive.org/web/1im_/",
            b"http://i1.wp.com/i2.wp.com/",
            b"http://x.org/?url=",
        ]
    ),
    _plain,
).map(b"".join)

urls = st.one_of(_plain, _plain, _odd, _odd, _proxied, _long, st.binary(max_size=60))
"""Byte strings that are nearly, or not at all, URLs."""
