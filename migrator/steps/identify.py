"""Identify: which revision an unversioned database is at, as far as a replay proves it."""

from collections.abc import Sequence

from migrator.account import Account
from migrator.errors import RecoveryFailed, StateRefused
from migrator.history.release import Release
from migrator.model import RevisionId
from migrator.steps.desk import Desk
from migrator.steps.prove import Candidate, Proof, prove, tell_differences, unproven
from migrator.steps.workshop import Model, listed, model_of


def identify(desk: Desk, account: Account, release: Release) -> tuple[Candidate | None, Proof]:
    """The oldest revision that builds the schema that is there; or several, each of a branch of its own.

    None if no revision has been applied yet: `env.py` itself made what is there.

    Raises `StateRefused` when none does, with the nearest one and every difference, or nothing can be proven.
    """
    model = _model(desk, release)
    with account.phase("replay"):
        proof = prove(desk, release, model)
    if proof.is_untouched:
        return None, proof
    if not proof.matches:
        raise unproven(desk, proof)
    candidate = proof.matches[0]
    if len(proof.matches) > 1:
        later = ", ".join(str(one) for one in proof.matches[1:])
        desk.events.record(
            "hazard.found",
            f"{later} build the same schema as {candidate}: they change data only, and whether they have run "
            f"cannot be seen; the database counts as being at {candidate}",
            level="warning",
            remedy="if they have run: migrator adopt --at REV, before the next run",
        )
    desk.events.record(
        "schema.verified",
        f"the schema is exactly what revision {candidate} builds{others_of(candidate, proof)}",
        revision=str(candidate),
        matches=[str(one) for one in proof.matches],
    )
    return candidate, proof


def examine(
    desk: Desk, account: Account, release: Release, chosen: Sequence[RevisionId], *, accepts: bool
) -> Candidate:
    """Compare with the revision that a person chose, or several, each of a branch of its own.

    Raises `RecoveryFailed` when the schema differs and that is not accepted, `StateRefused` when nothing can
    be compared and that is not.
    """
    model = _model(desk, release)
    try:
        with account.phase("replay"):
            proof = prove(desk, release, model, is_enough=lambda it: it.of(chosen) is not None)
    except StateRefused as error:
        if not accepts or "version_tables" in error.facts:  # of several, one would be stamped for all
            raise
        return _uncompared(desk, chosen, error)
    candidate = proof.of(chosen)
    if candidate is None:
        raise RecoveryFailed(
            f"{', '.join(chosen)} is not among what this release goes through on its way",
            remedy="correct --at",
        )
    tell_differences(desk, candidate.differences)
    if candidate.differences and not accepts:
        raise RecoveryFailed(
            f"the schema is not what revision {candidate} builds: "
            f"{listed([one.sentence for one in candidate.differences])}",
            remedy="undo the differences, or, knowing better, add --accept-differences",
            nearest=str(proof.nearest),
        )
    return candidate


def _uncompared(desk: Desk, chosen: Sequence[RevisionId], error: StateRefused) -> Candidate:
    """Where nothing can be replayed, a person's word is all there is."""
    desk.events.record(
        "hazard.found",
        f"{', '.join(chosen)} is taken on your word alone: {error.message}",
        level="warning",
        remedy="before the next deploy, compare the schema by hand with what the revisions say",
    )
    return Candidate(tuple(chosen), (), (), uncompared=error.message)


def others_of(candidate: Candidate, proof: Proof) -> str:
    """A half sentence on the other revisions that build the same schema, if there are any."""
    others = [str(one) for one in proof.matches if one is not candidate]
    if not others:
        return ""
    return f" (so do {', '.join(others)}, which change data only; --at chooses)"


def _model(desk: Desk, release: Release) -> Model:
    with desk.connector.reopen("the live schema") as session:
        return model_of(session, release)
