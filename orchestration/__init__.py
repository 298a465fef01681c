"""Dagster definitions, publishing and the `revops` command. No SQL models, no parsing."""
