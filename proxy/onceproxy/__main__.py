"""`python -m onceproxy` is the same as `onceproxy`."""

from onceproxy.cli import main

if __name__ == "__main__":
    main()
