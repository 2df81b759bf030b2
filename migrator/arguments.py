"""The command line: which commands there are, and what each takes besides the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from migrator import __version__
from migrator.settings.reader import Need
from migrator.stage import Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from migrator.parser import Parser


@dataclass(frozen=True, slots=True)
class Command:
    """One command: where its function is, how it speaks, and what of backups it cannot do without.

    `run` and `steps` tell events as they go, `facts` prints what it found. Only `run` pushes metrics.
    """

    module: str
    kind: Kind
    help: str
    need: Need = Need.NOTHING
    bears_bad_settings: bool = False  # then its function is also told the flags

    def load(self) -> "Callable[..., Any]":
        """Import its function: late, so that a damaged installation still ends with its last event."""
        module = import_module(self.module)
        function: Callable[..., Any] = getattr(module, self.module.rpartition(".")[2])
        return function


COMMANDS = {
    "run": Command(
        "migrator.run", "run", "the deploy: wait, look, lock, back up, migrate, verify (default)", Need.POLICY
    ),
    "gate": Command(
        "migrator.commands.gate",
        "steps",
        "wait until the database has what this release needs; writes nothing",
    ),
    "wait": Command("migrator.commands.wait", "steps", "wait until Postgres answers as a writable primary"),
    "status": Command(
        "migrator.commands.status", "facts", "where the database stands, who leads, and the last runs"
    ),
    "plan": Command("migrator.commands.plan", "facts", "the revisions a run would apply, oldest first"),
    "graph": Command(
        "migrator.commands.graph", "facts", "the revision history, drawn, with where the database stands"
    ),
    "diagnose": Command(
        "migrator.commands.diagnose",
        "facts",
        "every check that changes nothing, each with what to do about it",
        bears_bad_settings=True,
    ),
    "check": Command(
        "migrator.commands.check", "steps", "try the release on a scratch database: up, down again, up again"
    ),
    "verify": Command(
        "migrator.commands.verify", "steps", "compare the live schema with what the revisions build"
    ),
    "adopt": Command(
        "migrator.commands.adopt", "steps", "find by replay which revision an unversioned database is at"
    ),
    "backup": Command("migrator.commands.backup", "steps", "take a proven backup now", Need.BACKUP),
    "backups": Command("migrator.commands.backups", "facts", "the backups there are", Need.STORE),
    "restore": Command(
        "migrator.commands.restore",
        "steps",
        "restore a backup into a fresh database, prove it, and put it in the target's place",
        Need.STORE,
    ),
    "rollback": Command(
        "migrator.commands.rollback",
        "steps",
        "take revisions back with their own downgrades, after a backup",
        Need.POLICY,
    ),
    "ledger": Command("migrator.commands.ledger", "steps", "correct what is recorded in the database"),
}
_TABLES = {"settings": "the settings", "exit-codes": "the exit codes"}
_SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Words:
    """What a command line says: the command, settings by field name, and what is the command's own."""

    command: str
    settings: dict[str, str]
    options: dict[str, Any]


def read_arguments(arguments: Sequence[str]) -> Words:
    """Parse a command line. Raises `UsageError`; leaves by `SystemExit` after `--help` and `--version`."""
    found = vars(parser().parse_args(arguments))
    command = found.pop("command") or "run"
    settings = {name[len(_SETTING) :]: found[name] for name in found if name.startswith(_SETTING)}
    return Words(
        command,
        {name: value for name, value in settings.items() if value is not None},
        {name: value for name, value in found.items() if not name.startswith(_SETTING)},
    )


_SETTING = "setting "  # no option can be called so


def parser() -> "Parser":
    """The command line's grammar."""
    from migrator.parser import Parser, Top  # noqa: PLC0415 - a deploy without arguments does not need it

    top = Top(prog="migrator", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"migrator {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, allow_abbrev=False, help=command.help, description=command.help)
        if name in _OWN:
            _OWN[name](one)
        if command.kind == "facts":
            one.add_argument("--json", action="store_true", help="as JSON")
        if name != "ledger":  # its actions have them
            one.add_settings(_SETTING)
    commands.add_parser("demo", help="the whole deploy on an embedded Postgres with the bundled example")
    for name, what in _TABLES.items():
        table = commands.add_parser(name, allow_abbrev=False, help=f"print {what}")
        form = table.add_mutually_exclusive_group()
        form.add_argument("--markdown", action="store_true", help="as a Markdown table")
        form.add_argument("--json", action="store_true", help="as JSON")
    shell = commands.add_parser("completion", allow_abbrev=False, help="print a shell's completion script")
    shell.add_argument("shell", choices=_SHELLS, help="for example: source <(migrator completion bash)")
    return top


def _run(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "--retry",
        action="store_true",
        help="try again what failed for good a moment ago, or was half applied and is repaired",
    )


def _plan(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--sql", action="store_true", help="with the SQL of each revision")


def _graph(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "--format", dest="form", choices=("text", "mermaid"), default="text", help="text, or a Mermaid chart"
    )


def _diagnose(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "--only", metavar="ID", nargs="+", action="extend", default=[], help="these checks, or whole sections"
    )
    parser.add_argument(
        "--deep", action="store_true", help="also what takes a scratch database or runs the project's code"
    )


def _adopt(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "--stamp",
        action="store_true",
        help="record the revision that the replay proved; without it, only say",
    )
    parser.add_argument("--at", metavar="REV", help="stamp this revision, if the replay proves it")
    parser.add_argument(
        "--accept-differences",
        action="store_true",
        help="with --at: stamp it although the schema differs; recorded in the ledger",
    )


def _restore(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument(
        "backup", metavar="BACKUP", help="its file's name, the beginning of it, its location, or `latest`"
    )
    parser.add_argument("--into", metavar="NAME", help="leave it beside the target, in a new database")
    parser.add_argument(
        "--disconnect", action="store_true", help="end the sessions in the target when it is replaced"
    )


def _rollback(parser: "argparse.ArgumentParser") -> None:
    parser.add_argument("--to", metavar="REV", help="down to this revision, or to `base`")
    parser.add_argument("--steps", metavar="N", type=int, help="down by so many revisions")
    parser.add_argument(
        "--accept-data-loss",
        metavar="REV",
        action="append",
        default=[],
        help="take this revision back although tables or columns with rows go with it; may be repeated",
    )


def _ledger(parser: "Parser") -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    accept = actions.add_parser(
        "accept", allow_abbrev=False, help="record the new digest of a revision that was edited on purpose"
    )
    accept.add_argument("revision", metavar="REV")
    accept.add_settings(_SETTING)


_OWN = {
    "run": _run,
    "plan": _plan,
    "graph": _graph,
    "diagnose": _diagnose,
    "adopt": _adopt,
    "restore": _restore,
    "rollback": _rollback,
    "ledger": _ledger,
}
