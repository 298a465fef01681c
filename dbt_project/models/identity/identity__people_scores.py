"""See `identity.scoring`."""


def model(dbt, session):
    """The changed records with the pairs they make."""
    from identity import scoring, weights

    known = str(dbt.this) if dbt.is_incremental else None
    features = dbt.ref("identity__people_features").filter("is_compared")
    return scoring.score_changed(session, features, weights.PEOPLE, known)
