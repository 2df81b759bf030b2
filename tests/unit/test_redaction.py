"""No secret leaves, however it is spelt, and what stands around it stays."""

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.telemetry.redaction import Redactor
from tests.support.target import AWKWARD

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "quoted for a URL": lambda secret: quote(secret, safe=""),
    "quoted for a path": quote,
    "quoted for a form": quote_plus,
    "quoted for an ini file": lambda secret: quote(secret, safe="").replace("%", "%%"),
    "raw in an ini file": lambda secret: secret.replace("%", "%%"),
    "as Python shows it": lambda secret: repr(secret)[1:-1],
    "as JSON shows it": lambda secret: json.dumps(secret)[1:-1],
    "as JSON shows it unescaped": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "as SQL shows it": lambda secret: secret.replace("'", "''"),
    "as a connection string shows it": lambda secret: secret.replace("\\", "\\\\").replace("'", "\\'"),
}
# The mask itself is the one secret that no mask can hide.
_SECRETS = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4)
_AWKWARD = st.text("@:/?#%&+=,'\"\\$; \nab", min_size=4) | st.just(AWKWARD)
_AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(secret=_SECRETS | _AWKWARD, spelling=st.sampled_from(sorted(SPELLINGS)), before=_AROUND, after=_AROUND)
def test_a_secret_never_survives_in_any_spelling(secret: str, spelling: str, before: str, after: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    clean = Redactor([secret]).text(f"{before}{spelt}{after}")
    assert spelt not in clean.replace("***", "\0")


@given(secret=_SECRETS | _AWKWARD)
def test_a_secret_never_survives_at_any_depth(secret: str) -> None:
    clean = Redactor([secret]).value({"a": [secret, {"b": (f"<{secret}>", 1, None)}], "c": {secret}})
    assert clean == {"a": ["***", {"b": ["<***>", 1, None]}], "c": ["***"]}


def test_a_secret_shorter_than_four_characters_would_mask_innocent_words() -> None:
    assert Redactor(["pw"]).text("pwd") == "pwd"


def test_a_secret_that_is_no_utf_8_is_a_secret() -> None:
    assert Redactor(["caf\udce9!"]).text("x caf\udce9! caf%E9%21 y") == "x *** *** y"


def test_a_secret_within_another_does_not_uncover_it() -> None:
    assert Redactor(["hunter2", "hunter2-and-more"]).text("x hunter2-and-more y") == "x *** y"


_UNKNOWN = st.text(st.characters(exclude_characters="*'\"", exclude_categories=["Z", "C"]), min_size=1)


@given(password=_UNKNOWN, tail=st.sampled_from(["", " and so on", "'", '"', "\n", "', line 1"]))
def test_the_password_of_any_url_is_masked(password: str, tail: str) -> None:
    text = f"cannot reach postgresql://shop:{password}@db:5432/x{tail}"
    assert Redactor().text(text) == f"cannot reach postgresql://shop:***@db:5432/x{tail}"


@pytest.mark.parametrize(
    "text",
    [
        "host=db password=hunter2 user=shop",
        "host=db password = 'hun\\'ter2' user=shop",
        "postgresql://db/x?user=shop&password=hunter2&sslmode=require",
        '{"dsn": "password=hunter2"}',
        "PGPASSWORD=hunter2",
        "Password=hunter2;",
    ],
)
def test_the_password_of_any_connection_string_is_masked(text: str) -> None:
    clean = Redactor().text(text)
    assert "ter2" not in clean
    assert "***" in clean


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.com/docs?page=1",
        "postgresql://shop@db:5432/x",
        "mail to someone@example.com: 12:30",
        "password authentication failed for user shop",
        "SELECT a::text, '{\"b\": 1}'",
    ],
)
def test_innocent_text_stays_as_it_is(text: str) -> None:
    assert Redactor(["hunter2"]).text(text) == text


_WORDS = st.text("abc ", max_size=5)
_FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(value=_FACTS)
def test_an_event_without_secrets_stays_as_it_is(value: object) -> None:
    assert Redactor(["hunter2"]).value(value) == value


@given(password=st.text("abc@:/#%", min_size=4, max_size=20))
def test_json_in_a_text_stays_json(password: str) -> None:
    line = json.dumps({"url": f"postgresql://u:{password}@h/d", "dsn": f"password='{password}'", "n": 1})
    for redactor in (Redactor([password]), Redactor()):
        clean = json.loads(redactor.text(line))
        assert clean == {"url": "postgresql://u:***@h/d", "dsn": "password=***", "n": 1} or (
            clean["n"] == 1 and f":{password}@" not in clean["url"] and f"'{password}'" not in clean["dsn"]
        )
