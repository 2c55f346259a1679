"""`python -m prelu_tools`."""

from prelu_tools.cli.main import main

if __name__ == "__main__":
    main()
