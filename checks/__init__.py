"""The checks, one module a family; found by name, nothing is registered by hand."""

if __name__ == "checks":
    raise ImportError("import saas_doctor.checks, not checks")
