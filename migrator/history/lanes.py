"""A history drawn in lanes, newest first, as `git log --graph` does; dependencies are dashed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from migrator.history.graph import Graph
from migrator.history.order import newest_first
from migrator.model import RevisionId

_SOLID, _DASHED = "│", "┊"
_ALONG = {False: "─", True: "┄"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the drawing: lanes, and the revision whose sign stands in one of them, if any does."""

    lanes: str
    revision: RevisionId | None = None


@dataclass(frozen=True, slots=True)
class _Lane:
    """A line on its way down to a revision."""

    towards: RevisionId
    is_dashed: bool = False


def drawn(graph: Graph, sign: Callable[[RevisionId], str]) -> Iterator[Row]:
    """Every revision once, below all that follow it."""
    order = newest_first(graph, frozenset(graph.by_id), graph.final_heads)
    lanes = _Lanes()
    for one in order:
        yield from lanes.arrive(one)
        yield Row(lanes.line({lanes.at(one): sign(one)}), one)
        down = graph.by_id[one].down
        yield from lanes.leave(one, down, graph.dependencies.get(one, ()))


@dataclass(slots=True)
class _Lanes:
    """Where each lane leads to, from left to right; None is a gap."""

    _to: list[_Lane | None] = field(default_factory=list)
    _ended: int | None = None  # the lane that came to a base in the row before

    def at(self, one: RevisionId) -> int:
        """Which lane leads to it, a solid one rather than a dashed one."""
        leading = self._leading(one)
        return min(leading, key=lambda place: (self._is_dashed(place), place))

    def arrive(self, one: RevisionId) -> Iterator[Row]:
        """Bring all that lead to it into one lane, or open one for a head."""
        if not self._leading(one):
            place = self._free()
            if place == self._ended:  # a head right below another history's base would look like its parent
                yield Row(self.line({}))
            self._to[place] = _Lane(one)
            return
        place = self.at(one)
        for is_dashed in (False, True):
            others = [n for n in self._leading(one) if n != place and self._is_dashed(n) is is_dashed]
            if others:
                yield Row(self._joined(place, dict.fromkeys(others, "ends"), is_dashed=is_dashed))
                for other in others:
                    self._to[other] = None
        self._trim()

    def leave(
        self, one: RevisionId, down: tuple[RevisionId, ...], dependencies: tuple[RevisionId, ...]
    ) -> Iterator[Row]:
        """Lead on to its parents: the first below itself, the others in lanes of their own."""
        place = self.at(one)
        onward = [_Lane(parent) for parent in down]
        onward += [_Lane(parent, is_dashed=True) for parent in dependencies if parent not in down]
        self._ended = None if onward else place
        if not onward:
            self._to[place] = None
            self._trim()
            return
        self._to[place] = onward[0]
        for is_dashed in (False, True):
            ways: dict[int, str] = {}
            for lane in onward[1:]:
                if lane.is_dashed is is_dashed:
                    ways |= self._way(lane, place)
            if ways:
                yield Row(self._joined(place, ways, is_dashed=is_dashed))
        if onward[0].is_dashed:  # one sign right below another would look like its parent
            yield Row(self.line({}))

    def line(self, signs: dict[int, str]) -> str:
        """The lanes as they are, with signs in some of them."""
        return " ".join(signs.get(place, self._stroke(place)) for place in range(len(self._to))).rstrip()

    def _way(self, lane: _Lane, besides: int) -> dict[int, str]:
        """Where a further parent is reached: a lane that leads there already, or a new one."""
        for place, other in enumerate(self._to):
            if other == lane and place != besides:
                return {place: "meets"}
        place = self._free()
        self._to[place] = lane
        return {place: "begins"}

    def _joined(self, place: int, ways: dict[int, str], *, is_dashed: bool) -> str:
        """A line across, from a revision's lane to others that end, begin or are met there."""
        left, right = min(place, *ways), max(place, *ways)
        along, text = _ALONG[is_dashed], ""
        for at in range(len(self._to)):
            inside = left <= at <= right
            if not inside:
                text += self._stroke(at)
            elif at == place or at in ways:
                kind = "meets" if at == place else ways[at]
                text += _CORNERS[kind][(at > left) + 2 * (at < right)]
            else:
                text += "┼" if self._to[at] else along
            text += along if left <= at < right else " "
        return text.rstrip()

    def _leading(self, one: RevisionId) -> list[int]:
        return [place for place, lane in enumerate(self._to) if lane and lane.towards == one]

    def _is_dashed(self, place: int) -> bool:
        lane = self._to[place]
        return lane is not None and lane.is_dashed

    def _stroke(self, place: int) -> str:
        if self._to[place] is None:
            return " "
        return _DASHED if self._is_dashed(place) else _SOLID

    def _free(self) -> int:
        if None in self._to:
            return self._to.index(None)
        self._to.append(None)
        return len(self._to) - 1

    def _trim(self) -> None:
        while self._to and self._to[-1] is None:
            self._to.pop()


# By where the line goes on: nowhere, to the left, to the right, both ways.
_CORNERS = {"ends": "│┘└┴", "begins": "│┐┌┬", "meets": "│┤├┼"}
