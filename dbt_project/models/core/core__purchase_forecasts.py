"""What companies that buy without a contract will buy within a year: BG/NBD and Gamma-Gamma.

How often and how lately each bought says whether it still buys and how often (Fader, Hardie, Lee 2005a), what
its purchases were worth says what the next ones will be (Fader, Hardie 2013).
"""

from typing import Any

#: Seven parameters are not to be had from fewer companies that came back. Then nothing is forecast.
FEWEST_RETURNED = 100
WEEKS_A_YEAR = 52

NOTHING = """
select
    null::varchar as account, null::double as probability_alive,
    null::double as purchases_next_year, null::double as amount_a_purchase
where false"""


def model(dbt: Any, session: Any) -> Any:
    """One row per company that bought something and has no contract."""
    purchases = dbt.ref("core__purchases")
    returned = purchases.aggregate("account, count(*) as days", "account").filter("days > 1")
    if len(returned) < FEWEST_RETURNED:
        return session.sql(NOTHING)
    return _forecast(purchases.df())


def _forecast(purchases: Any) -> Any:
    # Brings a chart library, and is needed by few.
    from clvkit import CustomerBase
    from clvkit.clv.bgnbd import BGNBD
    from clvkit.clv.gamma_gamma import GammaGamma

    base = CustomerBase.from_transactions(
        purchases.astype({"amount": float}),
        customer_id_col="account",
        datetime_col="purchased_on",
        time_unit="W",
        collapse="D",
        observation_period_end=purchases["known_until"].max(),
    )
    buying = BGNBD().fit(base)
    found = buying.predict(WEEKS_A_YEAR).to_pandas()
    found = found.join(buying.probability_alive().to_pandas())
    found = found.join(GammaGamma().fit(base).predict().to_pandas())
    found = found.rename(
        columns={"expected_purchases": "purchases_next_year", "expected_spend": "amount_a_purchase"}
    )
    return found.rename_axis("account").reset_index()
