"""Chargebee's raw tables: what each holds, its key, its columns.

Columns have Chargebee's own names, amounts are in the currency's smallest unit. Made here: `custom_fields`
(all `cf_...` fields of a record), `billing_country` (of the billing address, the rest of which is not kept),
`is_deleted`, the ids that tie a part to its parent, and `line_item_discounts` (of the one line).
`ignored` lists what the documentation knows and nothing here needs; among it what changes without a new
`updated_at` (balances, dues, MRR): kept, it would be stale.
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


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split()) | {
        "object",
        "deleted",
        "resource_version",
        "channel",
        "business_entity_id",
    }


_LINE_IGNORED = _names(
    """
    tax_rate is_percentage_pricing reference_line_item_id entity_description tax_exempt_reason
    unit_amount_in_decimal amount_in_decimal item_level_discount_amount usage_percentage
    """
)
_LINE = {
    "text": "id subscription_id customer_id entity_type entity_id description pricing_model "
    "quantity_in_decimal",
    "bigint": "quantity unit_amount amount tax_amount discount_amount",
    "bool": "metered is_taxed",
    "timestamp": "date_from date_to",
}


def _lines(parent: str, description: str) -> TableSpec:
    typed = {kind: names for kind, names in _LINE.items() if kind != "text"}
    columns = _columns(f"{parent} {_LINE['text']}", json="line_item_discounts", **typed)
    of = (f"{parent.removesuffix('_id')}s", parent)
    return TableSpec(description, _KEY, columns, ignored=_LINE_IGNORED, part_of=of)


TABLES: dict[str, TableSpec] = {
    "transactions": TableSpec(
        "Attempts to collect money, refunds and reversals, failed ones included",
        _KEY,
        _columns(
            "id customer_id subscription_id type status currency_code payment_method gateway error_code "
            "refunded_txn_id reference_transaction_id reversal_transaction_id",
            bigint="amount",
            json="linked_invoices linked_payments",
            timestamp="date settled_at voided_at updated_at",
        ),
        ignored=_names(
            """
            gateway_account_id payment_source_id reference_number exchange_rate base_currency_code
            id_at_gateway fraud_flag fraud_reason initiator_type three_d_secure authorization_reason
            error_text error_detail custom_payment_method_id custom_payment_method_name amount_unused
            masked_card_number reference_authorization_id amount_capturable linked_credit_notes
            linked_refunds iin last4 merchant_reference_id payment_method_details
            """
        ),
        newest_by="updated_at",
        happened="date",
    ),
    "credit_notes": TableSpec(
        "Credit notes: for changes in the middle of a term, and for money given back",
        _KEY,
        _columns(
            "id customer_id subscription_id reference_invoice_id type reason_code create_reason_code status "
            "currency_code",
            bigint="sub_total total amount_allocated amount_refunded amount_available",
            timestamp="date generated_at refunded_at voided_at updated_at",
        ),
        ignored=_names(
            """
            vat_number vat_number_prefix price_type exchange_rate base_currency_code
            sub_total_in_local_currency
            total_in_local_currency local_currency_code local_currency_exchange_rate round_off_amount
            fractional_correction line_items line_item_tiers line_item_discounts line_item_taxes
            line_item_addresses line_items_next_offset discounts taxes tax_origin linked_refunds
            linked_tax_withheld_refunds allocations tax_category shipping_address billing_address einvoice
            site_details_at_creation customer_notes
            """
        ),
        newest_by="updated_at",
        happened="date",
    ),
    "credit_note_lines": _lines("credit_note_id", "Every line of every credit note"),
    "invoices": TableSpec(
        "Invoices, voided and deleted ones included",
        _KEY,
        _columns(
            "id customer_id subscription_id status dunning_status currency_code price_type",
            bigint="sub_total total tax amount_paid amount_adjusted write_off_amount credits_applied "
            "amount_due",
            bool="recurring first_invoice",
            json="linked_payments discounts",
            timestamp="date due_date generated_at paid_at voided_at updated_at",
        ),
        ignored=_names(
            """
            payment_owner net_term_days po_number vat_number vat_number_prefix exchange_rate
            base_currency_code
            local_currency_exchange_rate local_currency_code sub_total_in_local_currency
            total_in_local_currency next_retry_at new_sales_amount has_advance_charges term_finalized
            is_gifted
            expected_payment_date amount_to_collect round_off_amount line_items line_item_tiers
            line_item_discounts line_item_taxes line_item_credits line_item_addresses line_items_next_offset
            taxes tax_origin linked_taxes_withheld dunning_attempts applied_credits adjustment_credit_notes
            issued_credit_notes linked_orders notes shipping_address billing_address statement_descriptor
            einvoice void_reason_code tax_category site_details_at_creation is_digital invoice_notes
            """
        ),
        newest_by="updated_at",
        happened="date",
    ),
    "invoice_lines": _lines("invoice_id", "Every line of every closed invoice"),
    "subscriptions": TableSpec(
        "Subscriptions of every status, with their present items, coupons and discounts",
        _KEY,
        _columns(
            "id customer_id status currency_code cancel_reason cancel_reason_code",
            bigint="remaining_billing_cycles",
            json="subscription_items coupons discounts contract_term custom_fields meta_data",
            timestamp="start_date trial_start trial_end current_term_start current_term_end next_billing_at "
            "created_at started_at activated_at pause_date resume_date cancelled_at "
            "cancel_schedule_created_at updated_at",
        ),
        ignored=_names(
            """
            plan_id plan_quantity plan_unit_price plan_amount plan_free_quantity setup_fee billing_period
            billing_period_unit plan_quantity_in_decimal plan_unit_price_in_decimal plan_amount_in_decimal
            plan_free_quantity_in_decimal po_number auto_collection trial_end_action gift_id
            contract_term_billing_cycle_on_renewal override_relationship affiliate_token created_from_ip
            has_scheduled_advance_invoices has_scheduled_changes payment_source_id offline_payment_method
            net_term_days active_id item_tiers charged_items due_invoices_count due_since total_dues mrr arr
            exchange_rate base_currency_code addons event_based_addons charged_event_based_addons coupon
            shipping_address referral_info billing_override invoice_notes metadata changes_scheduled_at
            free_period free_period_unit create_pending_invoices auto_close_invoices
            decommissioned payment_plan
            """
        ),
        newest_by="updated_at",
        fills=("subscriptions",),
        custom="custom_fields",
    ),
    "subscription_coupons": TableSpec(
        "Coupons on subscriptions as last seen, those since taken off included",
        ("subscription_id", "coupon_id"),
        _columns("subscription_id coupon_id coupon_code", bigint="applied_count", timestamp="apply_till"),
        ignored=_names(""),
    ),
    "subscription_discounts": TableSpec(
        "Manual discounts on subscriptions as last seen, those since taken off included",
        _KEY,
        _columns(
            "id subscription_id type currency_code duration_type period_unit apply_on item_price_id "
            "coupon_id",
            decimal="percentage",
            bigint="amount period applied_count",
            bool="included_in_mrr",
            timestamp="created_at apply_till",
        ),
        ignored=_names("invoice_name quantity index"),
    ),
    "customers": TableSpec(
        "Customers, deleted ones included",
        _KEY,
        _columns(
            "id first_name last_name email company vat_number billing_country preferred_currency_code",
            json="custom_fields meta_data",
            timestamp="created_at updated_at",
        ),
        ignored=_names(
            """
            phone auto_collection offline_payment_method net_term_days vat_number_validated_time
            vat_number_status allow_direct_debit is_location_valid created_from_ip exemption_details
            taxability
            entity_code exempt_number locale billing_date billing_month billing_date_mode billing_day_of_week
            billing_day_of_week_mode pii_cleared auto_close_invoices active_id card_status fraud_flag
            primary_payment_source_id backup_payment_source_id billing_address referral_urls contacts
            payment_method invoice_notes promotional_credits unbilled_charges refundable_credits
            excess_payments balances entity_identifiers tax_providers_fields is_einvoice_enabled
            einvoicing_method registered_for_gst consolidated_invoicing customer_type
            business_customer_without_vat_number client_profile_id relationship use_default_hierarchy_settings
            parent_account_access child_account_access vat_number_prefix entity_identifier_scheme
            entity_identifier_standard metadata
            """
        ),
        newest_by="updated_at",
        fills=("customers",),
        custom="custom_fields",
    ),
    "coupons": TableSpec(
        "Coupons; one that is listed no more counts as deleted",
        _KEY,
        _columns(
            "id name discount_type currency_code duration_type period_unit status apply_on",
            decimal="discount_percentage",
            bigint="discount_amount discount_quantity duration_month period",
            bool="included_in_mrr",
            timestamp="created_at archived_at updated_at",
        ),
        ignored=_names(
            """
            invoice_name valid_from valid_till max_redemptions plan_constraint addon_constraint plan_ids
            addon_ids apply_discount_on item_constraints item_constraint_criteria redemptions invoice_notes
            meta_data
            coupon_constraints application_conditions
            """
        ),
        complete=True,
    ),
    "item_prices": TableSpec(
        "Prices of plans, add-ons and charges; one that is listed no more counts as deleted",
        _KEY,
        _columns(
            "id name external_name item_id item_type status pricing_model currency_code period_unit "
            "price_in_decimal",
            bigint="price period",
            timestamp="created_at archived_at updated_at",
        ),
        ignored=_names(
            """
            item_family_id description price_variant_id proration_type trial_period trial_period_unit
            trial_end_action shipping_period shipping_period_unit billing_cycles free_quantity
            free_quantity_in_decimal usage_accumulation_reset_frequency invoice_notes tiers is_taxable
            tax_detail tax_providers_fields accounting_detail metadata archivable parent_item_id
            show_description_in_invoices show_description_in_quotes deleted_at
            """
        ),
        complete=True,
    ),
    "items": TableSpec(
        "Plans, add-ons and charges; one that is listed no more counts as deleted",
        _KEY,
        _columns(
            "id name external_name type status item_family_id",
            bool="metered included_in_mrr",
            timestamp="archived_at updated_at",
        ),
        ignored=_names(
            """
            description is_shippable is_giftable redirect_url enabled_for_checkout enabled_in_portal
            item_applicability gift_claim_redirect_url unit usage_calculation is_percentage_pricing
            applicable_items bundle_items bundle_configuration metadata
            """
        ),
        complete=True,
    ),
}
