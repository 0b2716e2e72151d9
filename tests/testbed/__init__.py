"""The test bed: real servers, copies of the reference platform, and what sets them up."""
