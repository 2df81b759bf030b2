"""The image's command; its arguments are a migrator command and its flags."""

from migrator.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
