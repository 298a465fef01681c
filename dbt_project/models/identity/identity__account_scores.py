"""See `identity.scoring`."""


def model(dbt, session):
    """The changed records with the pairs they make."""
    from identity import scoring, weights

    known = str(dbt.this) if dbt.is_incremental else None
    return scoring.score_changed(session, dbt.ref("identity__account_features"), weights.COMPANIES, known)
