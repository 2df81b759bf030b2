"""Properties: on any history, the static reader and the graph say what Alembic itself says."""

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.runtime.migration import HeadMaintainer, MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import Revision as AlembicRevision
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.errors import RevisionsInvalid
from migrator.history.graph import Graph
from migrator.history.project import Project
from migrator.history.reader import read_revisions
from migrator.history.target import resolve_target
from migrator.model import Revision, RevisionId

REFUSALS = (RevisionError, CommandError, AssertionError)
MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True, slots=True)
class Release:
    """One history, as Alembic sees it and as we do."""

    script: ScriptDirectory
    revisions: tuple[Revision, ...]
    graph: Graph


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled revisions are never read again here."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> tuple[Revision, ...]:
    """Draw chains, branches, merges and several bases, with dependencies and branch labels across them."""
    fewest = draw(st.integers(0, most))
    ids = draw(st.lists(st.text("abc1", min_size=3, max_size=6), unique=True, min_size=fewest, max_size=most))
    names = draw(st.lists(st.text("xyz", min_size=4, max_size=6), unique=True, max_size=2))
    revisions: list[Revision] = []
    for revision_id in ids:
        earlier = [one.id for one in revisions]
        nearby = st.sampled_from(earlier[-3:] or [RevisionId("")])
        down = draw(st.lists(nearby, unique=True, max_size=min(2, len(earlier))))
        known = [*earlier, *(label for one in revisions for label in one.labels)]
        depends_on = draw(
            st.one_of(st.just([]), st.lists(st.sampled_from(known or [""]), unique=True, max_size=2))
        )
        is_labelled = draw(st.booleans())
        labels = frozenset([names.pop()]) if names and is_labelled else frozenset[str]()
        others = tuple(one for one in depends_on if one and one not in down)
        revisions.append(Revision(RevisionId(revision_id), tuple(down), others, labels))
    return tuple(revisions)


@st.composite
def sources(draw: st.DrawFn, revision: Revision) -> str:
    """Draw one of the ways in which people write a revision file."""
    annotation = draw(st.sampled_from(["", ": str | None", ": Union[str, Sequence[str], None]"]))
    scalar = draw(st.booleans())
    bracket = draw(st.sampled_from([list, tuple]))

    def several(values: tuple[str, ...] | frozenset[str]) -> object:
        if scalar and len(values) < 2:
            return next(iter(values), None)
        return bracket(values)

    lines = [
        f'"""add {revision.id}\n\nRevision ID: {revision.id}\n\ndef nothing(): the docstring goes on\n"""',
        "from __future__ import annotations",
        "from typing import Sequence, Union",
        f"revision{annotation} = {revision.id!r}  # used by Alembic",
        f"down_revision{annotation} = {several(revision.down)!r}",
        f"branch_labels{annotation} = {several(revision.labels)!r}",
        f"depends_on{annotation} = (\n    {several(revision.depends_on)!r}\n)",
        draw(st.sampled_from(["", "TABLES = [name for name in 'ab']", "if TABLES := 1:\n    pass"])),
        draw(st.sampled_from(["def upgrade():\n    pass", "def upgrade():\n    revision = 'not this'"])),
        "def downgrade():\n    pass\n",
    ]
    return draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(lines)


def written(folder: Path, texts: dict[str, str]) -> Release:
    """Write a history and load it twice."""
    (folder / "versions").mkdir()
    (folder / "env.py").write_text("")
    for name, text in texts.items():
        (folder / "versions" / f"{name}.py").write_bytes(text.encode())
    config = Config()
    config.set_main_option("script_location", folder.as_posix())
    project = Project.locate(folder, config=None, script_location=str(folder), python=None)
    revisions = read_revisions(project)
    assert revisions is not None
    return Release(ScriptDirectory.from_config(config), revisions, Graph.build(revisions))


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """Draw a history in files; the order of their names, which breaks ties, is random too."""
    history = draw(histories())
    names = draw(st.permutations([f"f{number}" for number in range(len(history))]))
    texts = {name: draw(sources(revision)) for name, revision in zip(names, history, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        release = written(Path(folder), texts)
        release.script.get_heads()
        return release


def targets(release: Release) -> list[str]:
    """Everything one could set as a target, also nonsense."""
    ids = list(release.graph.by_id)
    labels = list(release.graph.labels)
    names = [
        *ids,
        *labels,
        *(one[:3] for one in ids),
        *(one[:2] for one in labels),
        "zzzz",
        "abcabcabc",
        "head",
        "heads",
    ]
    branches = [*labels, *ids[:2], *(one[:2] for one in labels)]
    return [*names, "base", *(f"{branch}@{name}" for branch in branches for name in names)]


def alembic_resolves(release: Release, target: str) -> frozenset[str] | None:
    """Ask Alembic what a target means; None if it refuses."""
    try:
        found = release.script.revision_map.get_revisions(target)
    except REFUSALS:
        return None
    return frozenset(one.revision for one in found if isinstance(one, AlembicRevision))


def graph_resolves(release: Release, target: str) -> frozenset[str] | None:
    """Ask us what a target means; None if we refuse."""
    try:
        return resolve_target(release.graph, target)
    except RevisionsInvalid:
        return None


def alembic_pending(release: Release, rows: frozenset[str], target: str) -> list[str]:
    """List the revisions Alembic would apply, in its order."""
    current: Any = tuple(rows)  # Alembic passes a tuple itself, but says str
    return [step.revision.revision for step in release.script._upgrade_revs(target, current)]  # noqa: SLF001


def alembic_complains(release: Release, rows: frozenset[str]) -> str:
    """Ask Alembic why it would not upgrade from these rows; nothing if it would."""
    try:
        alembic_pending(release, rows, "heads")
    except (CommandError, RevisionError) as error:
        return str(error)
    return ""


def walked(release: Release, rows: frozenset[str], move: str, target: str) -> Iterator[frozenset[str]]:
    """Follow the version rows after each step of one command, as Alembic's own bookkeeping leaves them."""
    migrate = release.script._upgrade_revs if move == "upgrade" else release.script._downgrade_revs  # noqa: SLF001
    current: Any = tuple(rows)
    options = {"as_sql": True, "output_buffer": io.StringIO()}
    table = HeadMaintainer(MigrationContext.configure(dialect_name="postgresql", opts=options), rows)
    # Alembic cannot perform every command; a crash in the middle leaves the rows of the step before
    with suppress(*REFUSALS, KeyError, IndexError):
        for step in migrate(target, current):
            table.update_to_step(step)
            yield frozenset(table.heads)


@st.composite
def deployed(draw: st.DrawFn, moves: tuple[str, ...]) -> tuple[Release, list[frozenset[str]]]:
    """Draw a release and the row sets that a few commands leave behind on the way."""
    release = draw(releases())
    reached = [frozenset[str]()]
    names = [*release.graph.by_id, "heads", "base"]
    for _ in range(3):
        move, target = draw(st.sampled_from(moves)), draw(st.sampled_from(names))
        reached.extend(walked(release, reached[-1], move, target))
    return release, reached


@MANY
@given(release=releases())
def test_the_reader_finds_what_alembic_loads(release: Release) -> None:
    loaded = {script.revision: script for script in release.script.walk_revisions()}
    assert {one.id for one in release.revisions} == loaded.keys()
    for one in release.revisions:
        script = loaded[one.id]
        assert one.down == script._versioned_down_revisions  # noqa: SLF001
        assert one.labels == set(script._orig_branch_labels)  # noqa: SLF001
        assert one.doc == script.doc
        assert str(one.path) == script.path
        resolved = release.graph.dependencies.get(one.id, ())
        assert set(resolved) == set(script._resolved_dependencies)  # noqa: SLF001


@MANY
@given(release=releases())
def test_heads_and_bases_are_alembics_in_the_same_order(release: Release) -> None:
    revision_map = release.script.revision_map
    assert release.graph.heads == tuple(release.script.get_heads())
    assert release.graph.bases == revision_map.bases
    assert release.graph.final_heads == revision_map._real_heads  # noqa: SLF001


@MANY
@given(release=releases())
def test_every_target_means_what_it_means_to_alembic(release: Release) -> None:
    for target in targets(release) if release.revisions else ["head", "heads", "base"]:
        assert graph_resolves(release, target) == alembic_resolves(release, target), target


@MANY
@given(drawn=deployed(("upgrade",)))
def test_the_plan_is_the_upgrade_that_alembic_would_run(
    drawn: tuple[Release, list[frozenset[str]]],
) -> None:
    release, reached = drawn
    graph = release.graph
    by_chance = any(len(own) > 1 for own in graph.dependencies.values())
    for rows in reached:
        for target in ("heads", *graph.by_id):
            expected = alembic_pending(release, rows, target)
            wanted = resolve_target(graph, target)
            planned = [one.id for one in graph.pending(rows, wanted)]
            assert set(planned) == set(expected)
            assert by_chance or planned == expected
            assert graph.fits(rows, wanted) == (not expected)
            applied = set(graph.ancestors(rows))
            for revision_id in planned:
                assert applied.issuperset(graph.parents[revision_id])
                applied.add(revision_id)


@MANY
@given(drawn=deployed(("upgrade",)))
def test_no_rows_that_upgrades_leave_are_called_corrupt(
    drawn: tuple[Release, list[frozenset[str]]],
) -> None:
    release, reached = drawn
    for rows in reached:
        assert not release.graph.redundant(rows)
        assert not release.graph.unknown(rows)


@MANY
@given(drawn=deployed(("upgrade", "upgrade", "downgrade")), data=st.data())
def test_rows_are_called_corrupt_exactly_when_alembic_refuses_to_upgrade_from_them(
    drawn: tuple[Release, list[frozenset[str]]], data: st.DataObject
) -> None:
    release, reached = drawn
    invented = data.draw(st.frozensets(st.sampled_from([*release.graph.by_id, ""])))
    for rows in (*reached, invented - {""}):
        assert bool(release.graph.redundant(rows)) == ("overlaps" in alembic_complains(release, rows))


@MANY
@given(history=histories(), data=st.data())
def test_the_order_of_loading_changes_neither_plan_nor_heads(
    history: tuple[Revision, ...], data: st.DataObject
) -> None:
    shuffled = Graph.build(data.draw(st.permutations(history)))
    graph = Graph.build(replace(one) for one in history)
    assert set(shuffled.heads) == set(graph.heads)
    assert set(shuffled.pending((), shuffled.final_heads)) == set(graph.pending((), graph.final_heads))
