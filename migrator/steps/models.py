"""Models: in what a current database is not what the models of `env.py` say."""

from migrator.history.attempt import Attempt
from migrator.history.failure import judged
from migrator.history.process import Report
from migrator.steps.see import View


def differing_models(view: View) -> tuple[tuple[str, ...] | None, int]:
    """The first differences as sentences, and how many there are; None where `env.py` names no models.

    User code runs in read-only sessions. Raises what a worker's end means.
    """
    found: list[Report] = []
    listener = view.listener
    attempt = listener.follow(
        listener.launch.models(), Attempt(is_over_when_finished=True), told=found.append
    )
    if attempt.failure is not None:
        raise judged(attempt.failure, reached=attempt.reached)
    named = [one for one in found if one["found"] is not None]
    if not named:
        return None, 0
    return tuple(text for one in named for text in one["found"]), sum(one["count"] for one in named)
