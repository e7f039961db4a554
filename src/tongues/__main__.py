"""`python -m tongues`: the command `tongues`, for launchers that start modules, such as torchrun."""

from tongues.cli.main import main

if __name__ == "__main__":
    main()
