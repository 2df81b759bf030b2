"""The image's command; its arguments are a migrator command and its flags."""

from migrator.cli import entry

if __name__ == "__main__":
    entry()
