"""`make real-projects`: histories nobody here wrote, migrated by us and by the plain tool, and compared.

Each project is installed by name, in exact versions, into an environment of its own that has nothing of ours;
the worker runs there. Not part of `make test`: installing them takes minutes. Names given as arguments choose
among them: `python -m tests.real_projects.run ckan superset`.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from migrator.demo.cluster import Cluster, embedded_binaries
from tests.real_projects.environments import environment_of
from tests.real_projects.subjects import SUBJECTS
from tests.real_projects.trial import Findings, lines, try_history

_MAJORS = (16, 18)
# Of a run with nothing to do, beside the plain tool's: at the median over all that was tried.
_HIGHEST_RATIO = 0.15
_HEAD = """\
| project | PostgreSQL | revisions | from empty, ours / plain (s) | nothing to do, ours / plain (s) | ratio \
| interrupted (revisions committed by then), resumed | schema |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


def main(names: list[str]) -> int:
    """Try every history on every embedded server; print a line each; 1 if anything is not as it should be."""
    tried: list[Findings] = []
    print(_HEAD)
    for subject in SUBJECTS:
        if names and not {subject.name, subject.packages} & set(names):
            continue
        python = environment_of(subject.packages, subject.python)
        for major in _MAJORS:
            with tempfile.TemporaryDirectory() as folder, Cluster.start(embedded_binaries(major)) as cluster:
                findings = try_history(subject, python, cluster, Path(folder))
            print("\n".join(lines(findings)), flush=True)
            tried.append(findings)
    ratio = statistics.median([one.ratio for one in tried if one.ratio] or [0.0])
    print(f"nothing to do: {ratio:.2f}× at the median, at most {_HIGHEST_RATIO}×")
    return int(ratio > _HIGHEST_RATIO or any(one.wrong for one in tried))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
