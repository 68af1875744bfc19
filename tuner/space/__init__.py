"""Search spaces: YAML to validated ranges."""
