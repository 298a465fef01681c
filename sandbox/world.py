"""The fictional company's world, as its three silos and its finance team know it.

Vendor-neutral: the simulator writes these records, the vendor API modules render them in each
vendor's shape, the ledger derives the truth from them. Every record carries the full history of
what changed, so that a silo can be asked for its state at the clock. All times are aware UTC
datetimes; money is `Decimal` in major units. Ids are strings as the vendors would show them:
digits in CRM and e-mail, prefixed (`cus_...`) in billing.

Records in the lists are in creation order. Nothing dated at or after `World.now` exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.truth import Truth

#: field name -> [(since, value)], oldest first; the last entry is the present value.
History = dict[str, list[tuple[datetime, Any]]]


# ---------------------------------------------------------------- CRM


@dataclass
class Owner:
    """A sales or success rep. `team`/`region` are the present ones; `history` keeps former territories."""

    id: str
    first_name: str
    last_name: str
    email: str
    role: str  # sdr | ae | csm
    team: str
    region: str
    created_at: datetime
    updated_at: datetime
    is_active: bool = True
    history: History = field(default_factory=dict)  # team, region


@dataclass
class Stage:
    """A stage of a deal pipeline."""

    pipeline: str
    id: str
    label: str
    position: int
    probability: Decimal  # 0..1
    outcome: str  # open | won | lost


@dataclass
class Company:
    """A CRM account."""

    id: str
    name: str
    domain: str | None
    country: str | None
    industry: str | None
    employee_count: int | None
    annual_revenue: Decimal | None
    owner_id: str | None
    lifecycle_stage: str  # lead | opportunity | customer | other (other = former customer)
    created_at: datetime
    updated_at: datetime
    parent_id: str | None = None
    tax_id: str | None = None
    billing_customer_id: str | None = None  # explicit link CRM -> billing, where sales entered it
    archived_at: datetime | None = None
    merged_into: str | None = None  # archived because it was merged into that company
    merged_ids: list[str] = field(default_factory=list)  # which were merged into it
    history: History = field(default_factory=dict)  # lifecycle_stage, owner_id


@dataclass
class Contact:
    """A CRM person. Lifecycle: subscriber | lead | marketingqualifiedlead | salesqualifiedlead |
    opportunity | customer | other. A person who ever reached `lead` is a lead in the silo contract.
    """

    id: str
    company_id: str | None
    email: str | None
    first_name: str
    last_name: str
    job_title: str | None
    owner_id: str | None
    lifecycle_stage: str
    lead_source: str | None  # outbound | inbound | referral | event
    email_opt_out: bool
    created_at: datetime
    updated_at: datetime
    campaign_id: str | None = None  # e-mail campaign that made the lead, if known to the CRM
    first_response_at: datetime | None = None  # first human outbound after the lead was created
    archived_at: datetime | None = None
    merged_into: str | None = None  # archived because it was merged into that contact
    merged_ids: list[str] = field(default_factory=list)  # which were merged into it
    history: History = field(default_factory=dict)  # lifecycle_stage, owner_id


@dataclass
class Deal:
    """An opportunity. `history` holds stage, amount, close_date, owner_id, forecast_category."""

    id: str
    name: str
    company_id: str | None
    contact_ids: list[str]  # first is primary
    owner_id: str | None
    pipeline: str
    stage: str  # Stage.id
    amount: Decimal | None  # annual contract value in `currency`
    currency: str
    close_date: date | None  # expected while open, actual once closed
    deal_type: str  # new_business | expansion | renewal
    product: str | None
    lead_source: str | None
    forecast_category: str  # pipeline | best_case | commit | closed | omitted
    created_at: datetime
    updated_at: datetime
    campaign_id: str | None = None
    closed_at: datetime | None = None
    lost_reason: str | None = None
    billing_subscription_id: str | None = None
    archived_at: datetime | None = None
    history: History = field(default_factory=dict)


@dataclass
class Activity:
    """An engagement: email | call | meeting | task | note."""

    id: str
    activity_type: str
    direction: str | None  # outbound | inbound
    is_automated: bool
    owner_id: str | None
    company_id: str | None
    contact_id: str | None
    deal_id: str | None
    occurred_at: datetime
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None


@dataclass
class Crm:
    """Everything the CRM knows."""

    owners: list[Owner] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    companies: list[Company] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)


# ---------------------------------------------------------------- e-mail


@dataclass
class Campaign:
    """A sequence of the e-mail tool, sent by one team member."""

    id: str
    name: str
    kind: str  # outbound | marketing
    sender_email: str
    owner_email: str
    created_at: datetime
    message_ids: list[str]  # one per step
    archived_at: datetime | None = None


@dataclass
class Recipient:
    """A person in a campaign. status: active | replied | bounced | unsubscribed | finished."""

    id: str
    campaign_id: str
    email: str
    first_name: str
    last_name: str
    company_name: str | None
    status: str
    added_at: datetime
    updated_at: datetime
    unsubscribed_at: datetime | None = None


@dataclass
class EmailEvent:
    """One thing that happened to one message: sent | open | click | reply | bounce | unsubscribe."""

    id: str
    campaign_id: str
    recipient_id: str
    message_id: str
    email: str
    event_type: str
    occurred_at: datetime
    is_machine: bool = False  # machine open, out-of-office reply
    bounce_type: str | None = None  # hard | soft
    link: str | None = None


@dataclass
class EmailLead:
    """A lead inside the e-mail tool. status: open | closed | lost | ignored."""

    id: str
    campaign_id: str
    recipient_id: str
    email: str
    status: str
    assigned_to_email: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None


@dataclass
class TeamMember:
    """A user of the e-mail tool."""

    id: str
    email: str
    first_name: str
    last_name: str
    created_at: datetime


@dataclass
class Email:
    """Everything the e-mail tool knows."""

    team: list[TeamMember] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    recipients: list[Recipient] = field(default_factory=list)
    events: list[EmailEvent] = field(default_factory=list)
    leads: list[EmailLead] = field(default_factory=list)


# ---------------------------------------------------------------- billing


@dataclass
class Customer:
    """A billing customer."""

    id: str
    name: str
    email: str | None
    country: str | None
    tax_id: str | None
    currency: str
    created_at: datetime
    updated_at: datetime
    crm_account_id: str | None = None  # explicit link billing -> CRM (vendor metadata)
    delinquent: bool = False
    deleted_at: datetime | None = None


@dataclass
class Product:
    """A product of the price list."""

    id: str
    name: str
    created_at: datetime


@dataclass
class Price:
    """A price. `interval` is None for one-off charges."""

    id: str
    product_id: str
    nickname: str  # plan name: Starter, Growth, Scale, Seats add-on, Onboarding ...
    unit_amount: Decimal
    currency: str
    interval: str | None  # day | week | month | year
    interval_count: int | None
    created_at: datetime


@dataclass
class ItemVersion:
    """One subscription item while it had one price and quantity: [valid_from, valid_to)."""

    item_id: str
    price_id: str
    quantity: int
    valid_from: datetime
    valid_to: datetime | None = None
    unit_amount: Decimal | None = (
        None  # sold at another price than the list's, which Chargebee alone can keep
    )


@dataclass
class Pause:
    """Collection paused: [paused_at, resumed_at). Starts and ends at period boundaries; the period's
    invoice is issued and voided at once, which is how the pause can be read from invoices.
    """

    paused_at: datetime
    resumed_at: datetime | None = None


@dataclass
class Discount:
    """A coupon applied to a subscription: percent_off or amount_off (per invoice), [starts_at, ends_at)."""

    id: str
    coupon_id: str
    customer_id: str
    subscription_id: str
    percent_off: Decimal | None
    amount_off: Decimal | None
    currency: str | None
    starts_at: datetime
    duration: str  # forever | repeating
    duration_in_months: int | None
    ends_at: datetime | None = None


@dataclass
class Subscription:
    """A subscription. `status` is the present one: trialing | active | past_due | unpaid | canceled.

    `items` hold every version of every item (the same interval for all items of one subscription).
    Changes are invoiced at once (proration_behavior always_invoice), so that history can be read from
    invoice lines. `history` keeps status.
    """

    id: str
    customer_id: str
    status: str
    currency: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime
    trial_start: datetime | None
    trial_end: datetime | None
    current_period_start: datetime
    current_period_end: datetime
    cancel_at: datetime | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    cancellation_reason: str | None = None  # cancellation_requested | payment_failed
    items: list[ItemVersion] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    history: History = field(default_factory=dict)


@dataclass
class InvoiceLine:
    """A line. `item_id` is None for one-off charges. Proration lines: period = [change, period end)."""

    id: str
    price_id: str
    item_id: str | None
    description: str
    quantity: int
    amount: Decimal  # before discount and tax; negative for a credit
    discount: Decimal
    discount_id: str | None
    period_start: datetime
    period_end: datetime
    is_proration: bool


@dataclass
class Invoice:
    """An invoice. status: draft | open | paid | void | uncollectible."""

    id: str
    number: str
    customer_id: str
    subscription_id: str | None
    status: str
    currency: str
    billing_reason: str  # subscription_create | subscription_cycle | subscription_update | manual
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal
    amount_paid: Decimal
    amount_due: Decimal
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None
    paid_at: datetime | None = None
    voided_at: datetime | None = None
    lines: list[InvoiceLine] = field(default_factory=list)


@dataclass
class Payment:
    """One attempt to collect an invoice. status: succeeded | failed."""

    id: str  # ch_...
    payment_intent_id: str  # pi_..., one per invoice
    invoice_id: str
    customer_id: str
    amount: Decimal
    currency: str
    status: str
    failure_code: str | None
    attempt: int
    attempted_at: datetime


@dataclass
class Refund:
    """Money back on a payment."""

    id: str
    payment_id: str
    invoice_id: str
    amount: Decimal
    currency: str
    refunded_at: datetime


@dataclass
class CreditNote:
    """A credit note on an invoice."""

    id: str
    invoice_id: str
    customer_id: str
    amount: Decimal
    currency: str
    issued_at: datetime


@dataclass
class Billing:
    """Everything the billing tool knows."""

    customers: list[Customer] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    credit_notes: list[CreditNote] = field(default_factory=list)


# ---------------------------------------------------------------- finance


@dataclass
class Spend:
    """One line of the marketing and sales budget, by month."""

    id: str
    month: date
    team: str
    category: str  # salaries | advertising | tools | events | commissions | support
    channel: str | None  # outbound | inbound | referral | event
    amount: Decimal
    currency: str
    is_acquisition: bool


@dataclass
class Quota:
    """A rep's quota for a quarter; `team` is the rep's team in that quarter."""

    id: str
    owner_id: str
    team: str
    period_start: date
    period_end: date  # exclusive
    amount: Decimal
    currency: str


@dataclass
class Forecast:
    """A rep's submitted forecast for a quarter."""

    id: str
    owner_id: str
    team: str
    category: str  # commit | best_case | pipeline
    period_start: date
    period_end: date  # exclusive
    submitted_at: datetime
    amount: Decimal
    currency: str


@dataclass
class FxRate:
    """Units of reporting currency per unit of `currency` on a day."""

    rate_date: date
    currency: str
    rate: Decimal


@dataclass
class Finance:
    """What finance keeps in spreadsheets."""

    spend: list[Spend] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    forecasts: list[Forecast] = field(default_factory=list)
    fx_rates: list[FxRate] = field(default_factory=list)


@dataclass
class World:
    """The company at `now` (exclusive: nothing dated `now` or later has happened)."""

    seed: int
    size: int  # target number of accounts
    start: datetime
    now: datetime
    currency: str  # reporting currency
    crm: Crm = field(default_factory=Crm)
    email: Email = field(default_factory=Email)
    billing: Billing = field(default_factory=Billing)
    finance: Finance = field(default_factory=Finance)
    truth: Truth = field(default_factory=Truth)
