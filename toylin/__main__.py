"""``python -m toylin``: the command line."""

from toylin.cli import main

if __name__ == "__main__":
    main()
