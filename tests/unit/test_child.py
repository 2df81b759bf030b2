"""Between fork and exec a child finds everything ready."""

import ctypes
import subprocess
import sys

import pytest

from migrator.child import die_with_parent


def test_nothing_is_loaded_in_the_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", None)
    code = "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=die_with_parent,
        check=True,
        capture_output=True,
    )
    assert said.stdout.strip() == b"9"
