"""One history on one server: migrated from empty, again, interrupted and resumed, beside the plain tool."""

import secrets
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from migrator.demo.cluster import Cluster
from tests.real_projects.deploy import INTERRUPTIONS, Deploy, Unexpected
from tests.real_projects.place import OWNER, Place, make_place
from tests.real_projects.schemas import differences
from tests.real_projects.subjects import Subject

_ROUNDS = 7


@dataclass(slots=True)
class Findings:
    """What was seen; `wrong` lists what is not as it should be."""

    name: str
    major: int
    revisions: int = 0
    full: tuple[float, float] = (0.0, 0.0)
    idle: tuple[float, float] = (0.0, 0.0)
    ratio: float = 0.0
    resumed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def try_history(subject: Subject, python: Path, cluster: Cluster, folder: Path) -> Findings:
    """Try everything; what goes wrong is noted, and the rest is tried all the same."""
    return _Trial(subject, python, cluster, folder).findings()


class _Trial:
    def __init__(self, subject: Subject, python: Path, cluster: Cluster, folder: Path) -> None:
        self._subject = subject
        self._python = python
        self._cluster = cluster
        self._folder = folder
        self._password = ("p%" if subject.takes_percent else "p") + secrets.token_hex(4)
        cluster.create_role(OWNER, self._password)
        self._found = Findings(subject.name, cluster.binaries.major)

    def findings(self) -> Findings:
        """Try one thing after the other."""
        plain, ours = self._deploy("plain", is_plain=True), self._deploy("ours")
        try:
            plain_seconds = plain.plain()
            our_seconds, last = ours.ours()
            self._found.full = our_seconds, plain_seconds
            self._found.revisions = len(last["revisions_applied"])
            self._check(self._found.revisions == self._subject.revisions, f"applied {self._found.revisions}")
            self._compare("run", ours.place, plain.place)
            self._idle(ours, plain)
            for command in ("gate", "status"):
                ours.ours(command)
        except (Unexpected, AssertionError) as error:
            self._found.wrong.append(str(error))
            return self._found
        self._interrupt(plain.place)
        return self._found

    def _deploy(self, name: str, *, is_plain: bool = False) -> Deploy:
        place = make_place(name, self._folder, self._cluster, self._password, is_plain=is_plain)
        (place.folder / "backups").mkdir()
        return Deploy(self._subject, self._python, place)

    def _idle(self, ours: Deploy, plain: Deploy) -> None:
        """Nothing to do: in pairs, since a busy machine slows both."""
        pairs = []
        for _ in range(_ROUNDS):
            seconds, last = ours.ours()
            self._check(last["outcome"] == "nothing to do", f"run again: {last['outcome']}")
            pairs.append((seconds, plain.plain()))
        self._found.idle = tuple(statistics.median(one) for one in zip(*pairs, strict=True))
        self._found.ratio = statistics.median(our / their for our, their in pairs)

    def _interrupt(self, plain: Place) -> None:
        """Interrupted midway, then run again."""
        for number, how in enumerate(INTERRUPTIONS):
            deploy = self._deploy(f"interrupted_{number}")
            try:
                last = deploy.interrupted(max(self._subject.revisions // 2, 2), how)
                deploy.ours()
                deploy.ours("gate")
            except (Unexpected, AssertionError) as error:
                self._found.wrong.append(f"{how.name}: {error}")
                continue
            self._compare(how.name, deploy.place, plain)
            self._found.resumed.append(f"{how.name} {len(last['revisions_applied'])}")

    def _compare(self, what: str, ours: Place, plain: Place) -> None:
        rows, theirs = ours.versions(self._subject.table), plain.versions(self._subject.table)
        self._check(rows == theirs, f"{what}: version rows {rows}, plain {theirs}")
        self._check(self._subject.head in {"", *rows}, f"{what}: {rows} is not {self._subject.head}")
        for difference in differences(ours, plain):
            self._found.wrong.append(f"{what}: {difference}")

    def _check(self, is_right: object, otherwise: str) -> None:
        if not is_right:
            self._found.wrong.append(otherwise)


def lines(findings: Findings) -> Iterator[str]:
    """Say what was found: a line, and one for each thing that is wrong."""
    found = findings
    yield (
        f"| {found.name} | {found.major} | {found.revisions} "
        f"| {found.full[0]:.2f} / {found.full[1]:.2f} | {found.idle[0]:.2f} / {found.idle[1]:.2f} "
        f"| {found.ratio:.2f}× | {', '.join(found.resumed) or '–'} | {'WRONG' if found.wrong else 'same'} |"
    )
    yield from (f"  ✗ {one}" for one in found.wrong)
