"""Digests: the same for the same `upgrade()`, however it is laid out and whatever Python computes it."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.history.digest import upgrade_digest, upgrade_digests
from migrator.model import Revision, RevisionId

PLAIN = '''\
"""Add shops.

Revision ID: a1
"""
from alembic import op
import sqlalchemy as sa

revision = "a1"
down_revision = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table("shop", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
    for name in ("a", "b"):
        op.execute("INSERT INTO shop (name) VALUES ('" + name + "')")
    op.create_index("ix", "shop", ["name"])


def downgrade() -> None:
    op.drop_table("shop")
'''

FORMATTED = '''\
"""Add shops, in other words."""
import sqlalchemy as sa
from alembic import op

down_revision = None
revision = 'a1'

LIMIT = 3

def helper():
    return "upgrade"

def upgrade() -> None:
  # The shops.
  op.create_table(
    'shop',   # as everywhere

    sa.Column('id', sa.Integer(), primary_key=True),
    sa.Column('name', \\
              sa.Text(),),
  )
  for name in ('a', 'b',):

      op.execute("""INSERT INTO shop (name) VALUES ('""" + name + "')")
          # odd place

  op.create_index('ix', "shop", ['name',],)

def downgrade() -> None:
  pass
'''


def digest(upgrade: str, *, before: str = "", after: str = "") -> str | None:
    return upgrade_digest(f"{before}\n{upgrade}\n{after}".encode())


def of_body(*lines: str) -> str:
    found = digest("\n    ".join(["def upgrade():", *lines]))
    assert found is not None
    return found


def test_layout_comments_docstring_and_quotes_do_not_count() -> None:
    assert upgrade_digest(PLAIN.encode()) == upgrade_digest(FORMATTED.encode()) is not None


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"shop", sa', '"shops", sa'),
        ("sa.Text()", "sa.Unicode()"),
        ("primary_key=True", "primary_key=False"),
        ("+ name", "- name"),
        ('("a", "b")', '["a", "b"]'),
        ('["name"])\n', '["name"])\n    op.create_index("iy", "shop", ["name"])\n'),
        ('    op.create_index("ix"', '        op.create_index("ix"'),
        ("def upgrade() -> None", "def upgrade(engine: str) -> None"),
        ("def upgrade()", "@retried\ndef upgrade()"),
    ],
)
def test_what_upgrade_does_counts(said: str, instead: str) -> None:
    assert said in PLAIN
    assert upgrade_digest(PLAIN.encode()) != upgrade_digest(PLAIN.replace(said, instead, 1).encode())


def test_a_comma_that_makes_a_tuple_counts() -> None:
    assert of_body("x = (1,)") != of_body("x = (1)")
    assert of_body("x = y[1,]") != of_body("x = y[1]")
    assert of_body("return (1,)") != of_body("return (1)")
    assert of_body("x = (1, 2,)") == of_body("x = (1, 2)")
    assert of_body("x = [1,]") == of_body("x = [1]")
    assert of_body("x = {1: 2,}") == of_body("x = {1: 2}")
    assert of_body("f(x)(1,)") == of_body("f(x)(1)")


def test_a_docstring_alone_is_a_body() -> None:
    assert of_body('"""Nothing to do."""') == of_body('"Nothing."')
    assert of_body('"a".strip()') != of_body('"b".strip()')
    assert of_body("if x:", '    "a"') != of_body("if x:", '    "b"')
    assert of_body("'doc'; x()") == of_body("x()")


def test_strings_with_expressions_inside_count_as_they_are_written() -> None:
    assert of_body("x(f'{a}')") != of_body("x(f'{b}')")
    assert of_body("x(f'{a:>{w}} é')", "y()") == of_body("x(f'{a:>{w}} é')  # why", "", "y()")
    assert of_body("x(f'{a!r}' 'b')") != of_body("x(f'{a!r}' 'c')")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "upgrade = do_it",
        "from shared import upgrade",
        "from shared import *\ndef upgrade(): pass",
        "async def upgrade(): pass",
        "if True:\n    def upgrade(): pass",
        "def upgrade(): pass\ndef upgrade(): x()",
        "def upgrade(): pass\nupgrade = wrapped(upgrade)",
        "def upgrade(): pass\nfor upgrade in (): pass",
        "class upgrade: pass",
        "def upgrade(): 'no end",
        "def upgrade(): (",
        "def upgrade():\n\tif x:\n        y()",
        "# -*- coding: klingon -*-\ndef upgrade(): pass",
        "def upgrade(): x = '\0'",
        "(" * 10_000,
    ],
)
def test_what_is_not_one_plain_function_has_no_digest(source: str) -> None:
    assert upgrade_digest(source.encode()) is None


def test_bytes_that_are_no_text_have_no_digest() -> None:
    assert upgrade_digest(b"def upgrade(): x('\xff\xfe')") is None


def test_encoding_and_line_ends_do_not_count() -> None:
    text = 'def upgrade():\n    x("""é\nü""")\n'
    utf8 = upgrade_digest(text.encode())
    assert utf8 is not None
    assert upgrade_digest(text.encode("utf-8-sig")) == utf8
    assert upgrade_digest(b"# coding: latin-1\n" + text.encode("latin-1")) == utf8
    assert upgrade_digest(text.replace("\n", "\r\n").encode()) == utf8
    assert upgrade_digest(f"\f\n{text}\f\n".encode()) == utf8


def test_revisions_whose_file_is_not_there_are_left_out(tmp_path: Path) -> None:
    there = tmp_path / "a1.py"
    there.write_text(PLAIN)
    a1, b2, c3 = map(RevisionId, ("a1", "b2", "c3"))
    found = upgrade_digests([Revision(a1, path=there), Revision(b2, path=tmp_path / "gone.py"), Revision(c3)])
    assert found == {a1: upgrade_digest(PLAIN.encode())}


# What the digests were when their algorithm was numbered 1, under CPython 3.11, 3.12 and 3.13. A change here
# needs another number: ledgers hold these.
CORPUS = {
    "67eabf3b8e00fb3b9e4096fdb13ea05ca5003800647e2efa537b98af2aeed7f2": PLAIN,
    "7beceb8deeab7c05dacc5fae0f96d938ddff7cdfe3bc297b20cba8f3f5edc111": "def upgrade(): pass",
    "77c55367146f1fd8186e994a1b14c7e5c3fa887e14eb490715a36ccca1d1a803": (
        "def upgrade():\n"
        "    x(rb'\\d', 'é\\n', f'{a!r:>{w}} {b[\"c\"]} {{}} é', f'''\n{d\n}''' 'e' fr'\\{g}')"
    ),
    "bfdf0c54a726970188f77767a151f9933f2b6c7d408d386a3d02204e49ae4520": (
        "@a.b(c)\ndef upgrade(engine: str = 'x', *d, **e) -> None:\n"
        "\tif (y := 0x1F) @ 1_000 != 1e3j:\n\t\tdel y, z"
    ),
    "a899d4566a0ca804e9c132750831203bbc806e11f1ffe1ff30a063310622ceb0": (
        "def upgrade():\n    match x:\n"
        "        case {'a': [*_, 1.50]} if y: ...\n        case _: print(f\"{'é'}\")\n"
    ),
    "7979e9bdc03840220713d493e7c134facd6812ca3acdb8eb1d3aff0155edcbbc": (
        "def upgrade():\n    with a as b, c: return lambda d, /, *, e=...: (yield)\n    'not a docstring'"
    ),
}


@pytest.mark.parametrize(("known", "source"), CORPUS.items())
def test_every_python_computes_the_same(known: str, source: str) -> None:
    assert upgrade_digest(source.encode()) == known


@dataclass(frozen=True, slots=True)
class Call:
    """A statement or an argument: `name(…)`."""

    name: str
    arguments: tuple["Argument", ...]
    keywords: tuple[tuple[str, str], ...]


Argument = Call | str | int


NAMES = st.sampled_from(["op", "sa", "op.execute", "sa.Column", "é"])
TEXTS = st.text(st.sampled_from("ab'\"\\\n#é(,"), max_size=4)
KEYWORDS = st.dictionaries(st.sampled_from(["x", "y"]), TEXTS, max_size=2).map(lambda one: tuple(one.items()))


def calls(arguments: st.SearchStrategy[Argument]) -> st.SearchStrategy[Call]:
    return st.builds(Call, NAMES, st.lists(arguments, max_size=3).map(tuple), KEYWORDS)


CALLS = calls(st.recursive(TEXTS | st.integers(0, 3), calls, max_leaves=6))
BLOCKS = st.lists(st.tuples(st.booleans(), CALLS), min_size=1, max_size=4).map(tuple)
Body = tuple[tuple[bool, Call], ...]  # whether it stands in a block of its own


def laid_out(body: Body, chance: random.Random) -> bytes:
    """Write the body as somebody may have done."""
    step = chance.choice([" ", "    ", "\t"])
    lines = ["def upgrade():", *comments(chance)]
    if chance.random() < 0.5:
        lines.append(f'{step}"""Upgrade {chance.random()}."""')
    for indented, call in body:
        if indented:
            lines.append(f"{step}if x:{chance.choice(['', '  # why'])}")
        lines += [step * (2 if indented else 1) + written(call, chance), *comments(chance)]
    return chance.choice(["\n", "\r\n"]).join(lines).encode()


def comments(chance: random.Random) -> list[str]:
    return chance.choice([[], [""], ["  # a comment: ("], ["", "# another"]])


def written(item: Argument, chance: random.Random) -> str:
    match item:
        case Call(name, arguments, keywords):
            parts = [written(one, chance) for one in arguments]
            parts += [f"{key}{gap(chance)}={gap(chance)}{written(value, chance)}" for key, value in keywords]
            end = chance.choice(["", ","]) if parts else ""
            inside = f",{broken(chance)}".join(parts)
            return f"{name}{gap(chance)}({broken(chance)}{inside}{end}{broken(chance)})"
        case str():
            return chance.choice([repr(item), ascii(item), json.dumps(item)])
        case int():
            return str(item)


def gap(chance: random.Random) -> str:
    return chance.choice(["", " ", " \\\n "])


def broken(chance: random.Random) -> str:
    return chance.choice(["", "\n", "  # ) why\n", "\n\n      "])


@given(BLOCKS, BLOCKS, st.randoms(use_true_random=False))
def test_digests_are_equal_exactly_where_what_is_done_is(
    one: Body, other: Body, chance: random.Random
) -> None:
    digests = [upgrade_digest(laid_out(body, chance)) for body in (one, one, other)]
    assert digests[0] == digests[1] is not None
    assert (digests[0] == digests[2]) == (one == other)
