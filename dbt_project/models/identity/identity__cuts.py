"""See `identity.cuts`."""


def model(dbt, session):
    """Which records do not stay with the others of a key."""
    from identity import cuts

    return cuts.company_cuts(dbt.ref("identity__account_doubts"))
