"""What a shell completes: the commands, their flags and the words these take, read off the parser itself."""

from migrator.completion.bash import bash
from migrator.completion.fish import fish
from migrator.completion.zsh import zsh

SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
