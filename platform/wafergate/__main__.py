"""`python -m wafergate` is the command `wafergate`."""

from wafergate.cli import main

if __name__ == "__main__":
    main()
