"""Exit codes: each once, its kind by its block, one class of error for each."""

import re
from collections.abc import Iterator

import pytest

from migrator.errors import ExitCode, MigratorError, SettingsInvalid

BY_KIND = {
    "ok": range(1),
    "permanent": range(1, 30),
    "retryable": range(30, 50),
    "signal": range(128, 160),
}


def subclasses(of: type[MigratorError]) -> Iterator[type[MigratorError]]:
    for one in of.__subclasses__():
        if one.__module__ == "migrator.errors":
            yield one
            yield from subclasses(one)


def test_every_code_has_one_name() -> None:
    assert len({int(code) for code in ExitCode}) == len(ExitCode.__members__)


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_the_kind_of_a_code_follows_from_its_block(code: ExitCode) -> None:
    assert int(code) in BY_KIND[code.kind]
    assert code.is_retryable == (code.kind == "retryable")


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_code_says_what_it_means_and_what_to_do(code: ExitCode) -> None:
    for text in (code.meaning, code.remedy):
        assert text == text.strip().rstrip(".")
        assert "|" not in text


def test_every_class_of_error_has_a_code_of_its_own() -> None:
    codes = [one.exit_code for one in subclasses(MigratorError)]
    assert len(codes) == len(set(codes))
    assert ExitCode.INTERNAL_ERROR not in codes
    assert ExitCode.OK not in codes


def test_no_class_of_error_can_forget_its_code() -> None:
    with pytest.raises(TypeError, match="exit_code"):
        type("Forgetful", (MigratorError,), {})


@pytest.mark.parametrize("error", list(subclasses(MigratorError)), ids=lambda error: error.__name__)
def test_a_class_of_error_is_named_after_its_code(error: type[MigratorError]) -> None:
    words = re.findall(r"[A-Z][a-z]+", error.__name__)
    assert words[0].upper() in error.exit_code.name


def test_an_error_carries_its_sentence_its_remedy_and_its_facts() -> None:
    error = MigratorError("something broke", remedy="mend it", revision="a1")
    assert (str(error), error.message, error.remedy, error.facts) == (
        "something broke",
        "something broke",
        "mend it",
        {"revision": "a1"},
    )


def test_without_a_remedy_of_its_own_an_error_has_that_of_its_code() -> None:
    error = SettingsInvalid(("a is wrong", "b is wrong"))
    assert error.remedy == ExitCode.SETTINGS_INVALID.remedy
    assert error.message == "a is wrong; b is wrong"
    assert error.facts == {"problems": ["a is wrong", "b is wrong"]}
