"""Here so that pytest puts this folder on the path."""

import os

# The tests must not register with, or sign off from, a platform that runs beside them.
os.environ["REGISTRY_URL"] = "http://127.0.0.1:9"
