"""dlt sources: one module per vendor, and the file mapping. Knows no orchestrator."""

import logging

# Warnings are collected by `core.load_source`, and belong to its report.
logging.getLogger(__name__).addHandler(logging.NullHandler())
