"""`saas-doctor`, and `python -m saas_doctor`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading ends it as quietly as later on."""
    try:
        from saas_doctor.cli import main as run

        run()
    except KeyboardInterrupt:
        print("saas-doctor: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
