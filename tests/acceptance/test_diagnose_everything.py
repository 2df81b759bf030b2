"""Diagnose, all of it: every section answers, side by side, about a real deploy."""

import json

from tests.support.journal import write_journal
from tests.support.project import Project
from tests.support.replay import let_make_databases, scratch_databases
from tests.support.runner import Migrator
from tests.support.target import Target

SECTIONS = (
    "environment packages connection server privileges files state schema activity backup telemetry".split()
)


def test_a_healthy_deploy_fails_no_check_and_drift_is_asked_for_only_with_deep(
    migrator: Migrator, project: Project, target: Target
) -> None:
    let_make_databases(target)
    target.execute("CREATE TABLE words (id int PRIMARY KEY)")
    write_journal(project, "a1", "b2")
    assert migrator().exit_code == 0
    result = migrator("diagnose", "--json", MIGRATOR_LOG_FORMAT="text")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)["checks"]
    assert list(dict.fromkeys(one["id"].partition(".")[0] for one in told)) == SECTIONS
    assert [one for one in told if one["verdict"] not in {"pass", "warn"}] == []
    assert "schema.drift" not in {one["id"] for one in told}
    target.execute("ALTER TABLE journal ADD COLUMN extra int")
    deep = migrator("diagnose", "--deep", "--json", MIGRATOR_LOG_FORMAT="text")
    assert deep.exit_code == 18
    (failed,) = (one for one in json.loads(deep.stdout)["checks"] if one["verdict"] == "fail")
    assert (failed["id"], "extra" in failed["seen"]) == ("schema.drift", True)
    assert scratch_databases(target) == []
    target.execute(failed["remedy"])
    assert migrator("diagnose", "--only", "schema.drift", MIGRATOR_LOG_FORMAT="text").exit_code == 0
