"""``python -m rankscope.app``: the command line without its console script."""

from rankscope.app.cli import main

if __name__ == "__main__":
    main()
