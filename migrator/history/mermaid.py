"""A history as a Mermaid flowchart, for pages that draw it."""

from collections.abc import Collection, Iterator, Mapping

from migrator.history.graph import Graph
from migrator.history.position import Place
from migrator.model import Revision, RevisionId

_STYLES = {
    Place.ROW: "fill:#1f7a3d,color:#fff,stroke:#0b3d1c,stroke-width:3px",
    Place.APPLIED: "fill:#cdebd5,color:#000,stroke:#1f7a3d",
    Place.IN_PART: "fill:#cdebd5,color:#000,stroke:#1f7a3d,stroke-dasharray:4",
    Place.PENDING: "fill:#fff3cd,color:#000,stroke:#b58900",
    Place.UNWANTED: "fill:#eee,color:#666,stroke:#999",
    Place.UNKNOWN: "fill:#fff,color:#000,stroke:#666",
}
# A quote would end a label, a backtick would make it Markdown, and `#` begins an entity.
_ENTITIES = {ord(sign): f"#{ord(sign)};" for sign in '"#&<>`\\;'}


def flowchart(
    graph: Graph, targets: Collection[RevisionId], places: Mapping[RevisionId, Place]
) -> Iterator[str]:
    """The lines of a flowchart from the oldest down; dependencies are dashed."""
    # An id may be a word that Mermaid keeps for itself, such as `end`.
    names = {one.id: f"r{number}" for number, one in enumerate(graph.revisions)}
    yield "graph TD"
    for one in graph.revisions:
        yield f'    {names[one.id]}["{_label(one, graph, targets)}"]:::{_class(places[one.id])}'
    for one in graph.revisions:
        yield from (f"    {names[parent]} --> {names[one.id]}" for parent in one.down)
        others = (parent for parent in graph.dependencies.get(one.id, ()) if parent not in one.down)
        yield from (f"    {names[parent]} -.-> {names[one.id]}" for parent in others)
    for place in sorted(set(places.values())):
        yield f"    classDef {_class(place)} {_STYLES[place]}"


def _label(one: Revision, graph: Graph, targets: Collection[RevisionId]) -> str:
    doc = " ".join(one.doc.split())
    lines = [one.id, *([doc] if doc else []), ", ".join(marks(one, graph, targets))]
    return "<br/>".join(line.translate(_ENTITIES) for line in lines if line)


def marks(one: Revision, graph: Graph, targets: Collection[RevisionId]) -> list[str]:
    """What is said of a revision besides its id: branch labels, and whether it is a head or the target."""
    found = sorted(one.labels)
    found += ["head"] if one.id in graph.heads else []
    return found + (["target"] if one.id in targets else [])


def _class(place: Place) -> str:
    return place.name.lower()
