"""`python -m prelu_tools`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which may be a stranger's
    from prelu_tools.cli.main import main

    main()
