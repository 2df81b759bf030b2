"""Migration files: whether they form one history that can be trusted, each flaw by itself."""

import hashlib
import os
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.errors import RevisionsInvalid, SettingsInvalid
from migrator.history.digest import ALGORITHM
from migrator.history.graph import Graph
from migrator.history.project import Project
from migrator.history.reader import File, read_each, syntax_error
from migrator.history.release import find_python, locate_project
from migrator.history.target import resolve_target
from migrator.history.way_back import lacks_downgrade
from migrator.ledger import read_digests
from migrator.ledger.runs import Access, ledger_access
from migrator.model import Revision
from migrator.postgres.catalog import quoted
from migrator.steps.edited import edited_since, named_files, shown_file
from migrator.telemetry.wording import counted

_MOST_NAMED = 10
_UNKNOWN = "the history is not known before what the other checks of files say is corrected"
_WHY_LOAD = "a run ends with 11 before it does anything"


def _load(patient: Patient) -> Iterator[Finding]:
    try:
        broken = [(one.path, why) for one in _files(patient) if (why := syntax_error(one.path))]
        for path, why in broken:
            yield _broken(path, why, patient)
        if broken:
            return
        release = patient.release()
    except (RevisionsInvalid, SettingsInvalid) as error:
        yield failed(error.message, why=_WHY_LOAD, remedy=error.remedy)
        return
    number = counted(len(release.graph.revisions), "revision")
    yield passed(f"{number} in {_folders(release.project, patient)}")


def _broken(path: Path, why: str, patient: Patient) -> Finding:
    """A newer Python of the project's own may read what ours does not."""
    file, desk = _shown(path, patient), patient.desk
    python = find_python(desk.settings, desk.environ, desk.cwd)
    return (failed if str(python) == sys.executable else warned)(
        f"{file} is no Python {platform.python_version()}: {why}",
        why=_WHY_LOAD,
        remedy=f"{shlex.quote(str(python))} -m py_compile {shlex.quote(file)}",
        file=file,
    )


def _strangers(patient: Patient) -> Iterator[Finding]:
    """Files that Alembic takes for revisions and are none, and those that look like one to people alone."""
    project, files = _project(patient), _files(patient)
    found = False
    for one in files:
        if one.why:
            found = True
            file = _shown(one.path, patient)
            yield failed(
                f"{file} is among the revisions, and {one.why}",
                why="Alembic takes every Python file there for a revision, and loads none if one is not",
                remedy=_moving(file, project, patient),
                file=file,
            )
    for path in _overlooked(project, files):
        found = True
        file = _shown(path, patient)
        yield warned(
            f"{file} reads like a revision, and Alembic does not load it",
            why="it is never applied: its name does not end with .py, or it lies in a folder below, which is "
            "searched only with recursive_version_locations",
            remedy=_moving(file, project, patient),
            file=file,
        )
    if not found:
        yield passed(f"nothing but revisions in {_folders(project, patient)}")


def _overlooked(project: Project, files: Iterable[File]) -> Iterator[Path]:
    loaded = {one.path for one in files}
    for folder in project.version_folders:
        for root, _, names in os.walk(os.path.realpath(folder)):
            for path in sorted(Path(root, name) for name in names if not name.endswith(".pyc")):
                if path not in loaded and path.is_file() and b"down_revision" in path.read_bytes():
                    yield path


def _moving(file: str, project: Project, patient: Patient) -> str:
    beside = _shown(project.folder, patient) if project.folder else ".."
    return f"mv {shlex.quote(file)} {shlex.quote(beside)}/"


def _duplicates(patient: Patient) -> Iterator[Finding]:
    files = [one for one in _files(patient) if one.revision is not None]
    ids = Counter(one.revision.id for one in files if one.revision)
    for id_, number in ids.items():
        if number == 1:
            continue
        first, *others = [one.path for one in files if one.revision and one.revision.id == id_]
        yield failed(
            f"revision id {id_!r} is declared by {_listed([first, *others], patient)}",
            why="Alembic drops all but one of them without a word; whichever no database has seen must get "
            "another id",
            remedy="; ".join(_renaming(other, first, patient) for other in others),
            revision=id_,
        )
    if max(ids.values(), default=1) == 1:
        yield passed("no two files declare the same id")


def _renaming(other: Path, first: Path, patient: Patient) -> str:
    """A copy goes; another revision gets an id of its own."""
    file = shlex.quote(_shown(other, patient))
    if other.read_bytes() == first.read_bytes():
        return f"rm {file}"
    new = hashlib.sha256(other.name.encode() + other.read_bytes()).hexdigest()[:12]
    return f"sed -i -E \"s/^(revision\\b[^=]*=).*/\\1 '{new}'/\" {file}"


def _parents(patient: Patient) -> Iterator[Finding]:
    revisions = _revisions(patient)
    if revisions is None:
        yield impossible(_UNKNOWN)
        return
    there = {one.id for one in revisions}
    labels = {label for one in revisions for label in one.labels}
    wanted = [(one, str(parent)) for one in revisions for parent in one.down if parent not in there]
    wanted += [(one, name) for one in revisions for name in one.depends_on if name not in there | labels]
    for one, parent in wanted:
        file = _shown(one.path, patient) if one.path else one.id
        yield failed(
            f"revision {one.id} ({file}) follows {parent!r}, which no file declares",
            why=f"its file was lost, as in a merge, or is not in the image; {_WHY_LOAD}",
            remedy=_bringing_back(parent),
            revision=one.id,
            parent=parent,
        )
    if not wanted:
        yield passed("every parent is there")


def _bringing_back(revision: str) -> str:
    """From git, if it ever was there: the commit that deleted it, and the file as it was before."""
    search = f"--diff-filter=D -G {shlex.quote(f'^revision.*{revision}')}"
    return (
        f"commit=$(git log --all -1 --format=%h {search}) && "
        f'git checkout "$commit^" -- $(git show --relative --name-only --format= {search} "$commit")'
    )


def _cycles(patient: Patient) -> Iterator[Finding]:
    revisions = _revisions(patient)
    if revisions is None:
        yield impossible(_UNKNOWN)
        return
    labels = {label: one.id for one in revisions for label in one.labels}
    above = {one.id: (*one.down, *(labels.get(name, name) for name in one.depends_on)) for one in revisions}
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        circle = error.args[1]
        files = [one.path for one in revisions if one.id in circle and one.path]
        named = " ".join(shlex.quote(_shown(one, patient)) for one in files)
        yield failed(
            f"revisions precede themselves: {' -> '.join(reversed(circle))}",
            why=f"they could be applied in no order: one of their parents is wrong; {_WHY_LOAD}",
            remedy=f"grep -nE '^(down_revision|depends_on)' {named}",
            revisions=list(circle),
        )
        return
    yield passed("no revision precedes itself")


def _heads(patient: Patient) -> Iterator[Finding]:
    graph, settings = _graph(patient), patient.desk.settings
    if graph is None:
        yield impossible(_UNKNOWN)
        return
    try:
        targets = resolve_target(graph, settings.target)
    except RevisionsInvalid as error:
        heads = error.facts.get("heads", ())
        merge = f'{_alembic(patient)} merge -m "merge heads" {" ".join(heads)}'
        yield failed(
            error.message,
            why=f"two branches of the code each added a revision after the same one; {_WHY_LOAD}",
            remedy=merge if heads else error.remedy,
            heads=list(heads),
        )
        return
    yield passed(f"{settings.target} is {', '.join(sorted(targets)) or 'nothing'}", heads=list(graph.heads))


def _alembic(patient: Patient) -> str:
    settings = patient.desk.settings
    words = ["alembic"]
    words += ["-c", str(settings.alembic_config)] if settings.alembic_config else []
    words += ["-n", settings.alembic_section] if settings.alembic_section != "alembic" else []
    return shlex.join(words)


def _downgrades(patient: Patient) -> Iterator[Finding]:
    revisions = _revisions(patient)
    if revisions is None:
        yield impossible(_UNKNOWN)
        return
    lacking = [one for one in revisions if lacks_downgrade(one)]
    if not lacking:
        yield passed("every revision says how it is taken back")
        return
    files = [one.path for one in lacking if one.path]
    yield warned(
        f"{counted(len(lacking), 'revision')} cannot be taken back: {_listed(files, patient)}",
        why="`migrator rollback` refuses to go below them: the way back is a restore, which loses what was "
        "written since",
        remedy=f"migrator restore --help, or write downgrade() in {_listed(files, patient)}",
        revisions=[one.id for one in lacking],
    )


def _reach(patient: Patient) -> Iterator[Finding]:
    graph, settings = _graph(patient), patient.desk.settings
    if graph is None:
        yield impossible(_UNKNOWN)
        return
    try:
        wanted = graph.ancestors(resolve_target(graph, settings.target))
    except RevisionsInvalid as error:
        yield impossible(error.message, remedy=error.remedy)
        return
    beyond = [one.id for one in graph.revisions if one.id not in wanted]
    if not beyond:
        yield passed(f"{settings.target} reaches every revision")
        return
    yield warned(
        f"{counted(len(beyond), 'revision')} will not be applied: {', '.join(beyond[:_MOST_NAMED])}",
        why=f"MIGRATOR_TARGET is {settings.target!r}, and they do not lead to it",
        remedy="export MIGRATOR_TARGET=heads",
        revisions=beyond,
    )


def _edited(patient: Patient) -> Iterator[Finding]:
    desk = patient.desk
    state = patient.sight().state
    session = patient.session()
    access = ledger_access(session)
    if access is Access.NONE:
        yield passed("there is no ledger: nothing is known to have been applied otherwise")
        return
    if access is Access.HIDDEN:
        role = quoted(session.value("SELECT current_user"))
        yield impossible(
            "there is a ledger, which this role may not read",
            why="what was applied is not known",
            remedy=f"GRANT USAGE ON SCHEMA migrator TO {role}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA migrator TO {role}",
        )
        return
    recorded = read_digests(session, ALGORITHM)
    edited = edited_since(recorded, patient.release().graph, state.heads if state else ())
    if not edited:
        yield passed("no revision was edited after it was applied, as far as the ledger knows")
        return
    yield (failed if desk.settings.on_edited == "refuse" else warned)(
        f"edited after they were applied: {named_files(edited, desk.cwd)}",
        why="databases that applied them never see the change: put it into a revision of its own, unless it "
        "changes nothing",
        remedy=" && ".join(f"migrator ledger accept {one.id}" for one in edited),
        revisions=[one.id for one in edited],
    )


def _project(patient: Patient) -> Project:
    desk = patient.desk
    return locate_project(desk.settings, find_python(desk.settings, desk.environ, desk.cwd), desk.cwd)


def _files(patient: Patient) -> tuple[File, ...]:
    return read_each(_project(patient))


def _revisions(patient: Patient) -> tuple[Revision, ...] | None:
    """What can be read; what cannot is asked of Alembic, which answers only if all of it is well."""
    files = _files(patient)
    if files and all(one.revision for one in files):
        return tuple(one.revision for one in files if one.revision)
    try:
        return patient.release().graph.revisions
    except RevisionsInvalid:
        return None


def _graph(patient: Patient) -> Graph | None:
    revisions = _revisions(patient)
    try:
        return None if revisions is None else Graph.build(revisions)
    except RevisionsInvalid:
        return None


def _shown(path: Path, patient: Patient) -> str:
    """As a person in the project's folder would name it."""
    return shown_file(path, patient.desk.cwd.resolve())


def _folders(project: Project, patient: Patient) -> str:
    return ", ".join(_shown(one.resolve(), patient) for one in project.version_folders) or "its package"


def _listed(paths: list[Path], patient: Patient) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(_shown(one, patient) for one in paths[:_MOST_NAMED]) + more


CHECKS: tuple[Check, ...] = (
    Check("files.load", _load),
    Check("files.strangers", _strangers),
    Check("files.duplicates", _duplicates),
    Check("files.parents", _parents),
    Check("files.cycles", _cycles),
    Check("files.heads", _heads),
    Check("files.reach", _reach),
    Check("files.downgrades", _downgrades),
    Check("files.edited", _edited),
)
