"""The static reader: what it takes for certain is what running the file declares."""

import warnings
from pathlib import Path
from typing import Protocol

import pytest

from migrator.errors import RevisionsInvalid
from migrator.history.project import Project
from migrator.history.reader import read_revisions, revision_digest, source_digest
from migrator.model import Revision, RevisionId

BODY = "\n\ndef upgrade():\n    pass\n"
HEADER = "revision = 'a1'\ndown_revision = None\n"


class WriteRevision(Protocol):
    """Writes one revision file into the project's version folder, or below it."""

    def __call__(self, source: str | bytes, name: str = "one.py") -> Path:
        """Return the file."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    return tmp_path


@pytest.fixture
def write_revision(folder: Path) -> WriteRevision:
    def write(source: str | bytes, name: str = "one.py") -> Path:
        path = folder / "versions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        return path

    return write


def read(folder: Path, **options: str) -> tuple[Revision, ...] | None:
    lines = [f"{name} = {value}" for name, value in options.items()]
    (folder / "alembic.ini").write_text("\n".join(["[alembic]", f"script_location = {folder}", *lines]))
    return read_revisions(Project.locate(folder, config=None, script_location=None, python=None))


CERTAIN = [
    HEADER + BODY,
    HEADER,
    "from typing import Union\nrevision: str = 'a1'\ndown_revision: Union[tuple, None] = ('b1', 'c1')\n"
    + BODY,
    "revision = ('a1')\ndown_revision = (\n    'b1',\n    # the other parent\n    'c1',\n)\n" + BODY,
    "revision = 'a' '1'\ndown_revision = ['b1']\nbranch_labels = {'shop'}\ndepends_on = 'x1'\n" + BODY,
    HEADER + "branch_labels = ()\ndepends_on = []\n" + BODY,
    '"""Title\n\nrevision = "not"\ndef not_yet(): pass\n"""\n' + HEADER + BODY,
    HEADER + BODY + "    revision = 'local'\n    for depends_on in ():\n        pass\n",
    HEADER + BODY + "    # a new revision of the document\n    op.add_column('revision', 'branch_labels')\n",
    "from alembic import op\nimport os.path as path\n" + HEADER + "TABLES = [one for one in 'ab']\n" + BODY,
    "try:\n    import ujson\nexcept ImportError as error:\n    ujson = None\n" + HEADER + BODY,
    "if True:\n    from typing import Any\n" + HEADER + BODY,
    "class Thing:\n    id = 1\n    def up(self):\n        pass\n\n" + HEADER + BODY,
    HEADER + "def upgrade(engine_name):\n    globals()['upgrade_%s' % engine_name]()\n",
    HEADER + BODY + "    session.exec('select 1')\n    text % vars(self)\n    locals()\n",
    HEADER + BODY + "    print(row.__dict__, course.modules, table.c.modules)\n",
    HEADER + BODY + '    op.execute("\\d")\n',
    "# -*- coding: latin-1 -*-\n" + HEADER + "NAME = 'caf\xe9'\n" + BODY,
    HEADER.replace("\n", "\r\n") + BODY.replace("\n", "\r\n"),
    "\ufeff" + HEADER + BODY,
    "down_revision = None" + BODY + "\nrevision = 'a1'\n",
]


@pytest.mark.parametrize("source", CERTAIN)
def test_what_is_read_is_what_running_the_file_declares(
    folder: Path, write_revision: WriteRevision, source: str
) -> None:
    content = source.encode("latin-1" if "latin-1" in source else "utf-8")
    write_revision(content)
    declared: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(content, "one.py", "exec", dont_inherit=True), declared)  # noqa: S102 - the point of the test
    revisions = read(folder)
    assert revisions is not None
    (revision,) = revisions
    assert revision.id == declared["revision"]
    assert revision.down == _as_tuple(declared["down_revision"])
    assert revision.depends_on == _as_tuple(declared.get("depends_on"))
    assert revision.labels == set(_as_tuple(declared.get("branch_labels")))


def _as_tuple(value: object) -> tuple[object, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]


UNCERTAIN = {
    "no revision": "down_revision = None" + BODY,
    "no down_revision": "revision = 'a1'" + BODY,
    "call": "revision = make()\ndown_revision = None" + BODY,
    "concatenation": "revision = 'a' + '1'\ndown_revision = None" + BODY,
    "f-string": "revision = f'a1'\ndown_revision = None" + BODY,
    "other constant": "ID = 'a1'\nrevision = ID\ndown_revision = None" + BODY,
    "empty id": "revision = ''\ndown_revision = None" + BODY,
    "number": "revision = 1\ndown_revision = None" + BODY,
    "bytes": "revision = b'a1'\ndown_revision = None" + BODY,
    "number among parents": "revision = 'a1'\ndown_revision = ('b1', 2)" + BODY,
    "nested parents": "revision = 'a1'\ndown_revision = ('b1', ('c1',))" + BODY,
    "declared but not assigned": HEADER + "depends_on: str" + BODY,
    "assigned twice": HEADER + "down_revision = 'b1'" + BODY,
    "chained": "revision = down_revision = 'a1'" + BODY,
    "unpacked": "revision, down_revision = 'a1', None" + BODY,
    "augmented": HEADER + "revision += 'x'" + BODY,
    "deleted": HEADER + "del down_revision" + BODY,
    "conditional": HEADER + "if DEBUG:\n    down_revision = 'b1'" + BODY,
    "walrus": HEADER + "x = (depends_on := 'b1')" + BODY,
    "walrus in a default": HEADER + "def upgrade(x=(depends_on := 'b1')):\n    pass\n",
    "loop": HEADER + "for depends_on in ['b1']:\n    pass" + BODY,
    "with": HEADER + "with open('x') as depends_on:\n    pass" + BODY,
    "except": HEADER + "try:\n    pass\nexcept ValueError as depends_on:\n    pass" + BODY,
    "match": HEADER + "match 1:\n    case depends_on:\n        pass" + BODY,
    "imported": HEADER + "from shared import depends_on" + BODY,
    "imported as": HEADER + "import shared as depends_on" + BODY,
    "star": HEADER + "from shared import *" + BODY,
    "star after the functions": HEADER + BODY + "\nfrom shared import  *\n",
    "function": HEADER + "def depends_on():\n    pass\n",
    "class": HEADER + BODY + "class branch_labels:\n    pass\n",
    "after the functions": HEADER + BODY + "\ndown_revision = 'b1'\n",
    "below a condition after the functions": HEADER + BODY + "\nif True:\n    depends_on = 'b1'\n",
    "global": HEADER + "def change():\n    global depends_on\n    depends_on = 'b1'\nchange()\n",
    "globals": HEADER + "globals()['depends_on'] = 'b1'" + BODY,
    "globals in a function": HEADER + "def change():\n    globals().update(depends_on='b1')\nchange()\n",
    "vars": HEADER + "vars()['depends_on'] = 'b1'" + BODY,
    "exec": HEADER + "exec('depends_on = 1')" + BODY,
    "sys.modules": HEADER
    + "import sys\ndef change():\n    sys.modules[__name__].depends_on = 'b1'\nchange()\n",
    "modules of sys": HEADER
    + BODY
    + "    from sys import modules\n    modules[__name__].depends_on = 'b1'\n",
    "sys by another name": "import sys as s\n"
    + HEADER
    + "def change():\n    s.modules['x'].depends_on = 1\nchange()\n",
    "module __getattr__": HEADER + "def __getattr__(name):\n    return 'b1'\n",
    "broken": HEADER + "def upgrade(:\n    revision\n",
    "null byte": HEADER + "x = '\0'" + BODY,
}


@pytest.mark.parametrize("source", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_what_might_declare_something_else_is_not_read(
    folder: Path, write_revision: WriteRevision, source: str
) -> None:
    write_revision(source)
    assert read(folder) is None


def test_one_uncertain_file_makes_the_whole_history_uncertain(
    folder: Path, write_revision: WriteRevision
) -> None:
    write_revision(HEADER)
    write_revision("revision = make()", "two.py")
    assert read(folder) is None


def test_reading_prints_nothing_about_other_peoples_strings(
    folder: Path, write_revision: WriteRevision, recwarn: pytest.WarningsRecorder
) -> None:
    write_revision(HEADER + "PATTERN = '\\d'\n")
    assert read(folder) is not None
    assert not recwarn.list


def test_the_description_is_the_first_paragraph_of_the_docstring(
    folder: Path, write_revision: WriteRevision
) -> None:
    write_revision('"""  Add users,\nand their roles\n\nRevision ID: a1\n"""\n' + HEADER)
    assert [one.doc for one in read(folder) or ()] == ["Add users,\nand their roles"]


@pytest.mark.parametrize(
    "name", ["__init__.py", "__init__old.py", ".#one.py", "one.py~", "one.pyc", "notes.txt", "py"]
)
def test_files_alembic_does_not_take_for_revisions_are_passed_over(
    folder: Path, write_revision: WriteRevision, name: str
) -> None:
    write_revision("this is not Python", name)
    assert read(folder) == ()


def test_hidden_files_are_revisions(folder: Path, write_revision: WriteRevision) -> None:
    write_revision(HEADER, ".hidden.py")
    assert len(read(folder) or ()) == 1


def test_a_missing_version_folder_is_uncertain_because_alembics_versions_differ(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_a_compiled_history_is_uncertain(folder: Path, write_revision: WriteRevision) -> None:
    write_revision(HEADER)
    assert read(folder, sourceless="true") is None


def test_folders_inside_count_only_when_the_project_says_so(
    folder: Path, write_revision: WriteRevision
) -> None:
    write_revision(HEADER)
    write_revision(HEADER.replace("a1", "b1"), "2024/two.py")
    write_revision("not Python", "2024/__pycache__/three.py")
    assert [one.id for one in read(folder) or ()] == ["a1"]
    assert [one.id for one in read(folder, recursive_version_locations="true") or ()] == ["a1", "b1"]


def test_a_file_reached_twice_is_one_revision(folder: Path, write_revision: WriteRevision) -> None:
    path = write_revision(HEADER)
    (folder / "versions" / "two.py").symlink_to(path)
    assert [one.path for one in read(folder) or ()] == [path.resolve()]


def test_files_that_a_config_map_mounts_as_links_are_read(
    folder: Path, write_revision: WriteRevision
) -> None:
    write_revision(HEADER, "..2024/one.py")
    (folder / "versions" / "..data").symlink_to("..2024")
    (folder / "versions" / "one.py").symlink_to("..data/one.py")
    assert [one.id for one in read(folder) or ()] == ["a1"]


def test_a_link_to_a_file_of_another_kind_is_uncertain(folder: Path, write_revision: WriteRevision) -> None:
    write_revision(HEADER, "../blob")
    (folder / "versions" / "one.py").symlink_to(folder / "blob")
    assert read(folder) is None


def test_a_broken_link_is_uncertain(folder: Path) -> None:
    (folder / "versions" / "one.py").symlink_to("gone.py")
    assert read(folder) is None


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Revision, Revision]:
    files = tmp_path / "a.py", tmp_path / "b.py"
    for file in files:
        file.write_text(file.name)
    return (
        Revision(RevisionId("a1"), path=files[0]),
        Revision(RevisionId("b1"), (RevisionId("a1"),), path=files[1]),
    )


def test_a_release_is_the_same_in_any_order_and_any_folder(
    pair: tuple[Revision, Revision], tmp_path: Path
) -> None:
    first, second = pair
    moved = tmp_path / "elsewhere.py"
    moved.write_text("a.py")
    elsewhere = Revision(first.id, path=moved)
    assert source_digest(pair) == source_digest((second, first)) == source_digest((elsewhere, second))


def test_a_release_is_another_when_a_file_or_a_parent_changed(pair: tuple[Revision, Revision]) -> None:
    first, second = pair
    before = source_digest(pair)
    assert before != source_digest((first, Revision(second.id, path=second.path)))
    assert before != source_digest((first, Revision(second.id, (), ("a1",), path=second.path)))
    assert second.path is not None
    second.path.write_text("edited")
    assert before != source_digest(pair)


def test_a_revision_without_a_file_still_has_a_digest() -> None:
    assert len(revision_digest(Revision(RevisionId("a1")))) == 64


def test_a_file_that_vanished_is_named(pair: tuple[Revision, Revision]) -> None:
    assert pair[0].path is not None
    pair[0].path.unlink()
    with pytest.raises(RevisionsInvalid, match=r"a\.py cannot be read"):
        source_digest(pair)
