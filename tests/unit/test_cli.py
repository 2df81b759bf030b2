"""The command line: what it takes, what it refuses, and the tables it prints."""

import json
from pathlib import Path

import pytest

from migrator import __version__
from migrator.arguments import COMMANDS as RUNNING
from migrator.cli import main
from migrator.errors import ExitCode
from migrator.settings.definition import ROWS

COMMANDS = [
    *("run", "gate", "wait", "status", "plan", "graph", "diagnose", "check", "verify", "adopt", "ledger"),
    *("demo", "settings", "exit-codes", "completion"),
]
ALL_COMMANDS = [*RUNNING, "ledger accept", "demo", "settings", "exit-codes", "completion"]


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run", "--nonsense"], ["run", "extra"], ["settings", "--json", "--markdown"], ["--lock"]],
)
def test_a_wrong_command_line_is_exit_2_and_says_so_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, {}) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("migrator: ")
    assert printed.err.rstrip().endswith("see `migrator --help`")


@pytest.mark.parametrize("command", [[], *([one] for one in COMMANDS)])
def test_every_command_takes_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*command, "--help"], {})
    assert leaving.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: migrator", *command]))


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"], {})
    printed = capsys.readouterr().out
    assert all(f"\n    {command}" in printed for command in COMMANDS)


@pytest.mark.parametrize("command", ["run", "gate", "wait", "status", "plan", "check", "verify", "adopt"])
def test_every_setting_is_a_flag_that_help_all_shows(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help-all"], {})
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert [row.flag for row in ROWS if f"  {row.flag} VALUE" not in printed] == []


@pytest.mark.parametrize("command", ["", *ALL_COMMANDS])
def test_help_fits_a_terminal_of_80_by_24(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"], {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_help_says_where_the_settings_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"], {})
    printed = " ".join(capsys.readouterr().out.split())
    assert "Every setting is also a flag" in printed
    assert "`migrator settings`" in printed
    assert "--lock-timeout" not in printed


def test_a_setting_and_its_flag_have_the_same_name() -> None:
    flags = {row.names[0]: row.flag for row in ROWS}
    assert flags["MIGRATOR_LOCK_TIMEOUT"] == "--lock-timeout"
    assert flags["MIGRATOR_DATABASE_URL"] == "--database-url"
    assert len(set(flags.values())) == len(ROWS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"], {})
    assert capsys.readouterr().out == f"migrator {__version__}\n"


def test_the_table_of_settings_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"], {}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ROWS) + 2
    for row, line in zip(ROWS, lines[2:], strict=True):
        assert all(f"`{name}`" in line for name in row.names)
        assert f"| `{row.flag}` | {row.default} | {row.meaning} |" in line
        assert ("_FILE" in line.split("|")[1]) == row.secret


def test_the_table_of_exit_codes_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exit-codes", "--markdown"], {}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ExitCode) + 2
    for code, line in zip(ExitCode, lines[2:], strict=True):
        assert line == f"| {int(code)} | `{code.name}` | {code.kind} | {code.meaning} | {code.remedy} |"


@pytest.mark.parametrize("command", ["settings", "exit-codes"])
def test_a_markdown_table_has_the_same_columns_on_every_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([command, "--markdown"], {})
    assert len({line.count("|") for line in capsys.readouterr().out.splitlines()}) == 1


@pytest.mark.parametrize("command", ["settings", "exit-codes"])
def test_a_table_is_also_json_and_text(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command, "--json"], {})
    rows = json.loads(capsys.readouterr().out)
    main([command], {})
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.endswith("meaning")
    assert len(lines) == len(rows) == {"settings": len(ROWS)}.get(command, len(ExitCode))


def test_bad_settings_still_end_with_the_last_event(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    environ = {
        "MIGRATOR_LOCK_TIMEOUT": "soon",
        "MIGRATOR_TERMINATION_LOG": str(log),
        "MIGRATOR_LOG_FORMAT": "json",
    }
    assert main(["wait"], environ) == ExitCode.SETTINGS_INVALID
    (line,) = capsys.readouterr().out.splitlines()
    last = json.loads(line)
    assert (last["event"], last["exit_name"]) == ("run.finished", "SETTINGS_INVALID")
    assert len(last["problems"]) == 2
    assert json.loads(log.read_text())["exit_code"] == 10
