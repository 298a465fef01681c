"""A fictional B2B SaaS company that speaks its vendors' HTTP APIs on loopback."""
