"""`python -m towpath` is `tow`."""

from towpath.cli import main

if __name__ == "__main__":
    main()
