"""Telemetry: whether what a run measures arrives."""

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from migrator.diagnosis.finding import Check, Finding, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.telemetry.gateway import ask

_SECONDS = 3.0
_WHY = "a push that fails is only a warning, but nobody sees the metrics of a run, nor its alerts"


def _pushgateway(patient: Patient) -> Iterator[Finding]:
    url = patient.desk.settings.pushgateway_url
    if url is None:
        yield passed("no Pushgateway is set: metrics are not pushed")
        return
    parts = urlsplit(url.reveal())
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    try:
        status = ask(url.reveal(), _SECONDS)
    except OSError as error:
        yield warned(
            f"the Pushgateway {shown} does not answer: {error}",
            why=_WHY,
            remedy=f"curl -sS {shown.rstrip('/')}/-/ready",
            url=shown,
        )
        return
    if status == HTTPStatus.OK:
        yield passed(f"the Pushgateway {shown} answers", url=shown)
    elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        yield warned(
            f"the Pushgateway {shown} refuses us: {status}",
            why=_WHY,
            remedy="export MIGRATOR_PUSHGATEWAY_URL with the right USER:***@ before its host",
            url=shown,
            status=status,
        )
    else:
        yield warned(
            f"{shown} answers {status}, as no Pushgateway does",
            why=_WHY,
            remedy=f"curl -sS {shown.rstrip('/')}/-/ready",
            url=shown,
            status=status,
        )


CHECKS = (Check("telemetry.pushgateway", _pushgateway),)
