"""A real Prometheus Pushgateway that forgets everything when it ends."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from migrator.demo.cluster import HOST, Keeper, free_port
from tests.support.service import Service, program


@dataclass(frozen=True, slots=True)
class Sample:
    """One number the gateway holds; its labels include the grouping key."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Pushgateway:
    """The gateway and what was pushed to it."""

    service: Service

    @property
    def url(self) -> str:
        """Where to push."""
        return f"http://{HOST}:{self.service.port}"

    def groups(self) -> list[dict[str, Any]]:
        """Give the groups as the gateway's own API tells them, metrics beside `labels`."""
        with urllib.request.urlopen(f"{self.url}/api/v1/metrics", timeout=10) as answer:
            groups: list[dict[str, Any]] = json.load(answer)["data"]
        return groups

    def metrics(self) -> dict[str, tuple[Sample, ...]]:
        """Give the samples of every metric by its name, with those the gateway adds (`push_time_seconds`)."""
        found: dict[str, tuple[Sample, ...]] = {}
        for group in self.groups():
            for name, family in group.items():
                if name not in {"labels", "last_push_successful"}:
                    samples = (
                        Sample(_labels(sample), float(sample["value"])) for sample in family["metrics"]
                    )
                    found[name] = (*found.get(name, ()), *samples)
        return found

    def value(self, name: str, **labels: str) -> float:
        """Give the only sample of this metric that has these labels."""
        samples = [
            sample for sample in self.metrics().get(name, ()) if labels.items() <= sample.labels.items()
        ]
        assert len(samples) == 1, f"{len(samples)} samples of {name} with {labels}: {samples}"
        return samples[0].value

    def close(self) -> None:
        """Stop it; stopping twice is fine."""
        self.service.close()


def start_pushgateway() -> Pushgateway:
    """Start a gateway with nothing in it."""
    path, port = program("prometheus-pushgateway"), free_port()
    # Debian's build keeps its numbers in /var unless told not to.
    options = (f"--web.listen-address={HOST}:{port}", "--persistence.file=")
    return Pushgateway(Service.start(Keeper(), port, path, *options))


def _labels(sample: dict[str, Any]) -> dict[str, str]:
    return dict(sample.get("labels") or {})
