"""Arguments and environment in, exit status out: the only place where everything is put together."""

import contextlib
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from migrator.errors import ExitCode, UsageError
from migrator.settings.reader import Need
from migrator.stage import Stage

if TYPE_CHECKING:
    from migrator.arguments import Words
    from migrator.stage import Command
    from migrator.telemetry.sheet import Block


def entry() -> NoReturn:
    """The console script. Most deploys have nothing to do and last as long as their imports and their exit.

    So the garbage collector does not look through what was just imported, and the interpreter is not taken
    down piece by piece: together a fifth of such a run, measured with `make bench`.
    """
    gc.disable()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the reader may have gone
            stream.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    environ = os.environ if environ is None else environ
    if given in ([], ["run"]):  # the deploy itself needs no parser
        return Stage({}, environ, "run", Need.POLICY).perform(_deploy)
    from migrator.arguments import COMMANDS, read_arguments  # noqa: PLC0415 - as above

    try:
        words = read_arguments(given)
    except UsageError as error:
        print(f"migrator: {error.message}", file=sys.stderr)  # noqa: T201 - no run, no event stream
        return int(error.exit_code)
    if words.command in COMMANDS:
        return _perform(words, environ)
    if words.command == "demo":
        from migrator.demo.story import tell  # noqa: PLC0415 - an extra, not in the image

        return tell()
    if words.command == "completion":
        return _completion(words)
    return _table(words)


def _deploy() -> "Command":
    from migrator.run import run  # noqa: PLC0415 - a damaged installation must still end with its last event

    return run


def _perform(words: "Words", environ: Mapping[str, str]) -> int:
    from functools import partial  # noqa: PLC0415

    from migrator.arguments import COMMANDS  # noqa: PLC0415

    command, options = COMMANDS[words.command], dict(words.options)
    if command.kind == "facts":
        options["show"] = _show_json if options.pop("json") else _show_text
    if command.bears_bad_settings:
        options["flags"] = words.settings
    stage = Stage(
        words.settings,
        environ,
        command.kind,
        command.need,
        bears_bad_settings=command.bears_bad_settings,
    )
    return stage.perform(lambda: partial(command.load(), **options))


def _show_text(told: "str | Sequence[Block]", _document: Mapping[str, Any]) -> None:
    from migrator.telemetry.sheet import show, write  # noqa: PLC0415

    if isinstance(told, str):
        write(told)
    else:
        show(told)


def _show_json(_told: object, document: Mapping[str, Any]) -> None:
    import json  # noqa: PLC0415

    from migrator.telemetry.sheet import write  # noqa: PLC0415

    write(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def _completion(words: "Words") -> int:
    from migrator.arguments import parser  # noqa: PLC0415
    from migrator.completion import SHELLS  # noqa: PLC0415
    from migrator.completion.grammar import grammar  # noqa: PLC0415
    from migrator.telemetry.sheet import write  # noqa: PLC0415

    write(SHELLS[words.options["shell"]](grammar(parser())).rstrip())
    return int(ExitCode.OK)


def _table(words: "Words") -> int:
    from migrator.commands import exit_codes, settings  # noqa: PLC0415
    from migrator.telemetry.sheet import show, write  # noqa: PLC0415

    table, options = settings if words.command == "settings" else exit_codes, words.options
    if not options["markdown"] and not options["json"]:
        show(table.sheet())
    else:
        write(table.markdown() if options["markdown"] else table.as_json())
    return int(ExitCode.OK)
