"""`saas-doctor`, and `python -m saas_doctor`."""

import contextlib
import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; then end at once, whatever is still being waited for.

    Something that answers for ever holds a thread of those that looked at it, and Python would wait
    for that one. Ctrl-C while the program is still loading ends it as quietly as later on.
    """
    # Modules are many objects, and all of them stay: to look for garbage among them takes its time.
    gc.set_threshold(100_000)
    code: int | str | None = 0
    try:
        from saas_doctor.cli import main as run

        run()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        print("saas-doctor: interrupted", file=sys.stderr)
        code = 130
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)


if __name__ == "__main__":
    main()
