"""Completion, asked of the shells themselves."""

import subprocess
from pathlib import Path

import pytest

from migrator.arguments import COMMANDS
from migrator.cli import main
from migrator.settings.definition import ROWS
from tests.support.terminal import interactive

# What readline does: words in, replies out.
ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_migrator
printf '%s\\n' "${COMPREPLY[@]}"
"""
EVERY_COMMAND = {*COMMANDS, "demo", "settings", "exit-codes", "completion"}


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell], {}) == 0
    path = folder / f"migrator.{shell}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def answer(*command: str | Path, cwd: Path) -> list[str]:
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    assert found.stderr == ""
    return found.stdout.split("\n")[:-1]


@pytest.fixture
def bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The script for bash."""
    return script("bash", tmp_path, capsys)


def replies(bash: Path, *words: str) -> set[str]:
    return set(answer("bash", "--norc", "-c", ASK_BASH, "bash", bash, "migrator", *words, cwd=bash.parent))


def test_bash_completes_commands(bash: Path) -> None:
    assert replies(bash, "") == EVERY_COMMAND
    assert replies(bash, "ga") == {"gate"}
    assert replies(bash, "back") == {"backup", "backups"}
    assert replies(bash, "ledger", "") == {"accept"}
    assert replies(bash, "completion", "") == {"bash", "zsh", "fish"}


def test_bash_completes_a_commands_own_flags_and_every_setting(bash: Path) -> None:
    settings = {row.flag for row in ROWS}
    assert replies(bash, "run", "--") == {"--help", "--help-all", "--retry"} | settings
    assert replies(bash, "ledger", "accept", "--") == {"--help", "--help-all"} | settings
    assert replies(bash, "restore", "--disc") == {"--disconnect"}
    assert replies(bash, "settings", "--") == {"--help", "--json", "--markdown"}


@pytest.mark.parametrize("words", [("--on-ahead", ""), ("--on-ahead", "="), ("--on-ahead", "=", "")])
def test_bash_completes_the_words_a_setting_may_be(words: tuple[str, ...], bash: Path) -> None:
    assert replies(bash, "run", *words) == {"allow", "refuse", "allow-unproven"}


def test_bash_knows_a_command_from_the_value_of_a_flag(bash: Path) -> None:
    assert replies(bash, "run", "--backup", "off", "--retr") == {"--retry"}
    assert replies(bash, "run", "--ledger", "o") == {"on", "off"}
    assert replies(bash, "run", "--role", "") == {""}


def test_bash_completes_files_where_a_setting_is_a_path(bash: Path) -> None:
    (bash.parent / "own alembic.ini").touch()
    assert replies(bash, "run", "--alembic-config", "own") == {"own alembic.ini"}


def test_fish_completes_commands_flags_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("fish", tmp_path, capsys)

    def completed(line: str) -> set[str]:
        asked = f"source {path}; complete -C '{line}'"
        lines = answer("fish", "--no-config", "-c", asked, cwd=tmp_path)
        return {one.partition("\t")[0] for one in lines}

    assert completed("migrator ") == EVERY_COMMAND
    assert completed("migrator run --re") >= {"--retry", "--release", "--remember-failure"}
    assert completed("migrator run --on-ahead ") == {"allow", "refuse", "allow-unproven"}
    assert completed("migrator ledger ") == {"accept"}
    assert completed("migrator status --ret") == set()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("re", "restore"),
        ("run --retr", "run --retry"),
        ("run --on-ahead=re", "run --on-ahead=refuse"),
        ("ledger a", "ledger accept"),
        ("ledger accept --concurr", "ledger accept --concurrently-lock-timeout"),
        ("completion z", "completion zsh"),
    ],
)
def test_zsh_completes_what_is_typed(
    typed: str, completed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script("zsh", tmp_path, capsys)
    (tmp_path / ".zshrc").write_text(
        f"autoload -Uz compinit; compinit -D -u; source {path}\n"
        "migrator() { print -r -- \":$*:\" }; unsetopt prompt_cr; PROMPT='ready> '\n"
    )
    with interactive("zsh", "-d", "-i", ZDOTDIR=str(tmp_path)) as shell:
        shell.read(until="ready> ")
        shell.type(f"migrator {typed}\t\n")
        said = shell.read(until=":\r\n")
    assert f"\n:{completed}:\n" in said.replace("\r", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_setting_is_in_every_script(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, tmp_path, capsys).read_text(encoding="utf-8")
    assert [row.flag for row in ROWS if row.flag.lstrip("-") not in text] == []
