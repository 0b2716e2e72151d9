"""saas-doctor: examines, explains and repairs a developer's platform of FastAPI services."""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout the rule packages sit beside this one; in a wheel they are inside it.
if not Path(__file__).with_name("checks").is_dir():
    __path__.append(str(Path(__file__).resolve().parent.parent))
