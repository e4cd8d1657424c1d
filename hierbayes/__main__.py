"""``python -m hierbayes``: the command line where no script folder is on the path."""

from hierbayes.cli import main

if __name__ == "__main__":
    main()
