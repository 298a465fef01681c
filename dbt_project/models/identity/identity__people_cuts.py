"""See `identity.cuts`."""


def model(dbt, session):
    """Which records do not stay with the others of a key."""
    from identity import cuts

    return cuts.people_cuts(dbt.ref("identity__people_doubts"))
