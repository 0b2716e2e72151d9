"""`python -m saas_doctor`."""

from saas_doctor.cli import main

main()
