"""The fixes, one module a family; found by name, nothing is registered by hand."""

if __name__ == "fixes":
    raise ImportError("import saas_doctor.fixes, not fixes")
