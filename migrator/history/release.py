"""What this image ships: its project, its revision graph, the interpreter its code runs under."""

import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrator.history.environment import read_version_table
from migrator.history.graph import Graph
from migrator.history.project import Project
from migrator.model import RevisionId, VersionTable
from migrator.settings import Settings

_CREATES_EXTENSION = re.compile(
    r"create\s+extension\s+(?:if\s+not\s+exists\s+)?(\\?\"[\w-]+\\?\"|[a-z_]\w*)(?=[\s;\"'])", re.IGNORECASE
)
_ASYNC_WORDS = ("async_engine_from_config", "create_async_engine", "AsyncEngine")


@dataclass(frozen=True, slots=True)
class Release:
    """The release: where its revisions are, how they hang together, what this run is to reach.

    `history` is the name under which the ledger keeps what `env.py` told. `named_table` is the version
    table that the settings name; `static_table` the one `env.py` certainly uses, as far as reading it without
    running it can tell.
    """

    project: Project
    python: Path
    graph: Graph
    targets: frozenset[RevisionId]
    history: str = ""
    named_table: VersionTable | None = None
    static_table: VersionTable | None = None

    def mentioned(self, objects: Collection[str]) -> tuple[str, ...]:
        """Those objects (`schema.name`) whose name stands in a revision: what this history may have made.

        Another application's tables in the same database are not evidence of this one's.
        """
        if not objects:
            return ()
        words: set[str] = set()
        for revision in self.graph.revisions:
            if revision.path is not None:
                words.update(re.findall(r"\w+", revision.path.read_text(encoding="utf-8", errors="replace")))
        return tuple(one for one in objects if one.split(".", 1)[1] in words)

    def extensions(self) -> frozenset[str]:
        """The extensions that the text of some revision creates, as far as their names stand there."""
        found: set[str] = set()
        for revision in self.graph.revisions:
            if revision.path is not None:
                text = revision.path.read_text(encoding="utf-8", errors="replace")
                found.update(name.strip('"\\') for name in _CREATES_EXTENSION.findall(text))
        return frozenset(found)

    def makers(self) -> Callable[[str, str], bool]:
        """Whether some revision, or `env.py`, seems to make a schema or extension of that name itself."""
        texts = [env_source(self.project)]
        paths = (revision.path for revision in self.graph.revisions if revision.path is not None)
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in paths]

        def makes(kind: str, name: str) -> bool:
            named = rf"create\s*{kind}\b[^;]{{0,60}}?(?<![\w-]){re.escape(name)}(?![\w-])"
            # A name that is filled in (`{NAME}`, `%s`, CreateSchema(NAME)) stands somewhere else in the file.
            filled_in = rf"create\s*{kind}\b(?:\s+if\s+not\s+exists)?[\s\"\\(]*(?:[{{%]|[a-z_][\w.]*\s*[,)])"
            quotes = rf"[\"']{re.escape(name)}[\"']"
            return any(
                re.search(named, text, re.IGNORECASE)
                or (re.search(filled_in, text, re.IGNORECASE) and re.search(quotes, text))
                for text in texts
            )

        return makes


def find_python(settings: Settings, environ: Mapping[str, str], cwd: Path) -> Path:
    """The worker's interpreter: the setting, else the project's environment that has Alembic, else ours."""
    if settings.python is not None:
        return settings.python
    named = [Path(environ["VIRTUAL_ENV"])] if environ.get("VIRTUAL_ENV") else []
    for folder in [*named, cwd / ".venv", cwd / "venv"]:
        python = folder / "bin" / "python"
        if python.exists() and any(folder.glob("lib/python*/site-packages/alembic")):
            return python
    return Path(sys.executable)


def locate_project(settings: Settings, python: Path, cwd: Path) -> Project:
    """Find Alembic's configuration. Raises `SettingsInvalid` when there is none."""
    return Project.locate(
        cwd,
        config=str(settings.alembic_config) if settings.alembic_config else None,
        section=settings.alembic_section,
        script_location=settings.script_location,
        python=python,
    )


def history_name(graph: Graph, project: Project, settings: Settings) -> str:
    """What the version tables depend on: where the history begins, `env.py`, and the arguments it gets.

    One database can hold several histories, and an `env.py` that changed may keep its rows elsewhere.
    """
    import hashlib  # noqa: PLC0415 - the revisions' reader does without

    given = ",".join(f"{name}={value}" for name, value in settings.alembic_x)
    told = hashlib.sha256(f"{env_source(project)}\0{given}".encode()).hexdigest()[:16]
    return f"{','.join(sorted(graph.bases))[:200]}/{told}"


def named_version_table(settings: Settings) -> VersionTable | None:
    """The version table by the setting."""
    if settings.version_table is None:
        return None
    return VersionTable(settings.version_table, settings.version_table_schema)


def static_version_table(project: Project) -> VersionTable | None:
    """The version table by reading `env.py` without running it; None when that is not certain."""
    source = env_source(project)
    return read_version_table(source) if source else None


def is_async(project: Project) -> bool:
    """Whether `env.py` makes an engine that must be awaited."""
    source = env_source(project)
    return any(word in source for word in _ASYNC_WORDS)


def env_source(project: Project) -> str:
    """The text of `env.py`; empty when it cannot be read without importing something."""
    file = project.env_file
    try:
        return file.read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeDecodeError):
        return ""
