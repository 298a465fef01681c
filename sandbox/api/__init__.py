"""The vendors' HTTP APIs, rendered from the sandbox's world: one module per vendor."""
