"""`python -m clusterwright` is the command line."""

from clusterwright.cli.main import main

if __name__ == "__main__":
    main()
