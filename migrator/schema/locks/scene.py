"""A script's statements in their order: what stands already when one is run, and under which name."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from migrator.schema.locks.names import TableName
from migrator.schema.locks.reading import read, renamed
from migrator.schema.locks.text import Statement


@dataclass(slots=True)
class Scene:
    """What the statements so far have made, and what they have renamed."""

    _made: list[TableName] = field(default_factory=list)
    _before: dict[TableName, TableName] = field(default_factory=dict)

    def is_new(self, table: TableName) -> bool:
        """Whether it was made by a statement before: nobody uses it yet, and it is small."""
        return any(one.may_be(table) for one in self._made)

    def before(self, table: TableName) -> TableName:
        """The name it has in the target, if it was renamed."""
        return self._before.get(table, table)

    def play(self, statement: Statement) -> None:
        """Go on to after this statement."""
        if change := renamed(statement):
            old, new = change
            if self.is_new(old):
                self._made.append(new)
            else:
                self._before[new] = self.before(old)
        made = read(statement).makes
        if made:
            self._made.append(made)


def tables_of(statements: Iterable[Statement]) -> frozenset[TableName]:
    """Every table that they name and that may stand in the target."""
    scene, found = Scene(), set[TableName]()
    for statement in statements:
        found.update(scene.before(one.table) for one in read(statement).locks)
        scene.play(statement)
    return frozenset(found)
