"""Stripe's raw tables: what each holds, its key, its columns.

Amounts are in the currency's smallest unit and currencies in lower case, as Stripe sends them.
"""

from __future__ import annotations

from ingestion.core import TableSpec

_KEY = ("id",)


def _columns(text: str, **typed: str) -> dict[str, str]:
    """Column types by name: `text` lists the text columns, `typed` lists the others by type."""
    named = dict.fromkeys(text.split(), "text")
    for kind, names in typed.items():
        named |= dict.fromkeys(names.split(), kind)
    return named | {"is_deleted": "bool"}


TABLES: dict[str, TableSpec] = {
    "customers": TableSpec(
        "Customers, deleted ones included once they were seen",
        _KEY,
        _columns(
            "id name email country tax_id currency", bool="delinquent", json="metadata", timestamp="created"
        ),
        fills=("customers",),
        custom="metadata",
    ),
    "products": TableSpec(
        "Products of the price list",
        _KEY,
        _columns("id name", bool="active", json="metadata", timestamp="created"),
    ),
    "prices": TableSpec(
        "Prices, recurring and one-off",
        _KEY,
        _columns(
            "id product_id nickname type currency interval usage_type",
            decimal="unit_amount",
            bigint="interval_count",
            bool="active",
            timestamp="created",
        ),
    ),
    "subscriptions": TableSpec(
        "Subscriptions of every status, with their present items",
        _KEY,
        _columns(
            "id customer_id status currency cancellation_reason pause_behavior",
            json="items discount_ids metadata",
            bool="cancel_at_period_end",
            timestamp="pause_resumes_at created start_date trial_start trial_end current_period_start "
            "current_period_end cancel_at canceled_at ended_at",
        ),
        fills=("subscriptions",),
        custom="metadata",
    ),
    "invoices": TableSpec(
        "Invoices, voided ones included",
        _KEY,
        _columns(
            "id number customer_id customer_email customer_name subscription_id status currency "
            "billing_reason",
            bigint="subtotal discount tax total amount_paid amount_due attempt_count",
            timestamp="created period_start period_end due_date finalized_at paid_at voided_at",
        ),
        happened="created",
    ),
    "invoice_lines": TableSpec(
        "Every line of every invoice",
        _KEY,
        _columns(
            "id invoice_id subscription_id subscription_item_id price_id description currency",
            json="discount_ids",
            bigint="quantity amount discount_amount",
            bool="is_proration",
            timestamp="period_start period_end",
        ),
        part_of=("invoices", "invoice_id"),
    ),
    "invoice_payments": TableSpec(
        "Which payment intents (or, before those, charges) pay which invoice",
        ("invoice_id", "payment_id"),
        _columns("invoice_id payment_id kind"),
        part_of=("invoices", "invoice_id"),
    ),
    "discounts": TableSpec(
        "Coupons applied to customers and subscriptions, ended ones included",
        _KEY,
        _columns(
            "id customer_id subscription_id coupon_id currency duration",
            decimal="percent_off",
            bigint="amount_off duration_in_months",
            timestamp="start end",
        ),
    ),
    "charges": TableSpec(
        "Attempts to collect money",
        _KEY,
        _columns(
            "id customer_id payment_intent_id currency status failure_code",
            bigint="amount amount_refunded",
            timestamp="created",
        ),
        happened="created",
    ),
    "refunds": TableSpec(
        "Money sent back on charges",
        _KEY,
        _columns("id charge_id payment_intent_id currency status", bigint="amount", timestamp="created"),
        happened="created",
    ),
    "credit_notes": TableSpec(
        "Credit notes on invoices",
        _KEY,
        _columns("id invoice_id customer_id currency status", bigint="amount", timestamp="created voided_at"),
        happened="created",
    ),
}
