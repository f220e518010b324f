"""``python -m a4nn_core`` is the command ``a4nn``."""

from a4nn_core.cli import main

if __name__ == "__main__":
    main()
