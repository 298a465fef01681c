"""Who is who, where no key says it: what likeness is worth as evidence, and where doubtful groups are cut.

The keys themselves, and everything else about identity, are SQL in dbt_project/models/identity.
"""
