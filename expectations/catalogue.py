"""The gates, declared as data.

A gate is one SQL query (`sql/<gap_type>.sql`) that returns the rows which should not exist, with the columns
key_left, value_left, key_right, value_right, account, money_at_risk (reporting currency), grace_until and,
where the gate is not between two fixed silos, silo_left and silo_right. A query reads the contract tables and
the temporary views of `facts`, never the clock. Values never show e-mail addresses or people's names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Gate:
    """One rule about the data, and what to do when it is broken."""

    gap_type: str
    place: str  # source: at the doors; seam: between two silos; kpi: inside the figures
    severity: str  # critical: may hold KPIs back; high: warns; medium: into the digest
    owner_team: str
    what: str  # what a found row means, after a number
    why: str  # why it matters
    fix: str  # what the owner does about it
    silo_left: str | None = None  # None: the query says it per row
    silo_right: str | None = None
    needs: tuple[str, ...] = ()  # silos that must be configured
    base: str | None = None  # query of the KPI amount that money at risk is compared with
    # Subjects of KPIs (kpi_definitions.subject) in doubt meanwhile; none: all KPIs of the silos found.
    touches: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The query for the rows that should not exist."""
        return (SQL / f"{self.gap_type}.sql").read_text(encoding="utf-8")

    @property
    def holds_whenever_found(self) -> bool:
        """Whether a single row is enough to hold KPIs back: a critical gap without a KPI to weigh it by."""
        return self.severity == "critical" and self.base is None


REVENUE = ("revenue", "revenue_month", "intra_period", "growth", "acquisition", "renewals")
ARR = "select 12 * coalesce(sum(mrr_reporting), 0) from gate_mrr_now"

GATES = (
    Gate(
        gap_type="stale_source",
        place="source",
        severity="critical",
        owner_team="data",
        what="source(s) without a recent record",
        why="every figure of that silo describes the past",
        fix="run 'revops sources', then repair the vendor's own feed, or set max_age_days of the source",
    ),
    Gate(
        gap_type="incomplete_load",
        place="source",
        severity="critical",
        owner_team="data",
        what="record(s) that others refer to, or table(s) that the source counts, that did not arrive whole",
        why="what refers to them drops out of the figures unseen",
        fix="rerun with --since; if they stay absent, check the API key's permissions or the mapping",
    ),
    Gate(
        gap_type="unparsed_rows",
        place="source",
        severity="high",
        owner_team="data",
        what="value(s) of files that the mapping could not convert",
        why="the rows count, but without these values",
        fix="correct the column's expression in the mapping, or the file",
    ),
    Gate(
        gap_type="unexpected_value",
        place="source",
        severity="high",
        owner_team="data",
        what="value(s) outside the silo contract's lists",
        why="rows with them are in none of the groups the KPIs count",
        fix="map the value in the source's mapping or staging model",
    ),
    Gate(
        gap_type="won_without_billing",
        place="seam",
        severity="critical",
        owner_team="finance",
        what="won deal(s) older than 7 days without a billing customer",
        why="sold, and nobody is charging for it",
        fix="create the customer in billing, or enter its id at the CRM account",
        silo_left="crm",
        silo_right="billing",
        needs=("crm", "billing"),
        base=ARR,
        touches=REVENUE,
    ),
    Gate(
        gap_type="paying_without_crm",
        place="seam",
        severity="critical",
        owner_team="revops",
        what="paying customer(s) without a CRM account",
        why="nobody looks after them, and their revenue belongs to no team",
        fix="create the account in the CRM, or enter its id at the billing customer",
        silo_left="billing",
        silo_right="crm",
        needs=("crm", "billing"),
        base=ARR,
        touches=REVENUE,
    ),
    Gate(
        gap_type="churned_but_customer",
        place="seam",
        severity="high",
        owner_team="customer success",
        what="former customer(s) that the CRM still calls customers",
        why="they are counted, contacted and forecast as customers",
        fix="set the account's lifecycle stage in the CRM, or win them back",
        silo_left="billing",
        silo_right="crm",
        needs=("crm", "billing"),
        base=ARR,
    ),
    Gate(
        gap_type="duplicate_accounts",
        place="seam",
        severity="high",
        owner_team="revops",
        what="CRM account(s) that repeat another one",
        why="history and ownership of one company are split",
        fix="merge the newer account into the older one",
        silo_left="crm",
        silo_right="crm",
        needs=("crm",),
    ),
    Gate(
        gap_type="ambiguous_identity",
        place="seam",
        severity="high",
        owner_team="revops",
        what="pair(s) of records that may be one company or person",
        why="until somebody decides, their history and revenue stay apart",
        fix="decide with a line in identity_overrides.csv (link or apart), or correct the records",
    ),
    Gate(
        gap_type="contradicting_ids",
        place="seam",
        severity="critical",
        owner_team="revops",
        what="CRM account(s) with the id of a customer who belongs to another account",
        why="revenue is counted at the wrong company",
        fix="correct the customer's id at the CRM account, or the account's id at the customer",
        silo_left="crm",
        silo_right="billing",
        needs=("crm", "billing"),
        base=ARR,
        touches=(*REVENUE, "attribution", "forecast", "forecast_error"),
    ),
    Gate(
        gap_type="duplicate_people",
        place="seam",
        severity="medium",
        owner_team="marketing ops",
        what="contact(s) or lead(s) that repeat another one's address",
        why="they are mailed and counted twice",
        fix="merge the newer record into the older one",
        silo_left="crm",
        silo_right="crm",
        needs=("crm",),
    ),
    Gate(
        gap_type="reply_without_lead",
        place="seam",
        severity="high",
        owner_team="sdr",
        what="person(s) who replied to a campaign and are no lead in the CRM",
        why="they asked, and nobody answers",
        fix="create the lead in the CRM, or repair the sync from the e-mail tool",
        silo_left="email",
        silo_right="crm",
        needs=("crm", "email"),
    ),
    Gate(
        gap_type="bridge_residual",
        place="kpi",
        severity="critical",
        owner_team="finance",
        what="month(s) in which the MRR bridge does not close",
        why="revenue appears or disappears without a reason",
        fix="compare the month's subscriptions with core's MRR models; no figure built on them is safe",
        silo_left="billing",
        silo_right="billing",
        needs=("billing",),
        touches=REVENUE,
    ),
)
