"""The YAML as one frozen, typed value."""
