"""Fields Stripe documents, by object, over all API versions: what is not among them is new.

The rows take what they need of these; a field that is not listed is kept in the raw row's `_extra`.
"""

from __future__ import annotations


def _fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


DOCUMENTED: dict[str, frozenset[str]] = {
    "customer": _fields(
        """
        account_balance address balance business_vat_id cash_balance created currency default_currency
        default_source delinquent description discount email id invoice_credit_balance invoice_prefix
        invoice_settings livemode metadata name next_invoice_sequence object phone preferred_locales
        shipping sources subscriptions tax tax_exempt tax_ids tax_info test_clock
        """
    ),
    "product": _fields(
        """
        active attributes caption created deactivate_on default_price description features id images
        livemode marketing_features metadata name object package_dimensions shippable statement_descriptor
        tax_code type unit_label updated url
        """
    ),
    "price": _fields(
        """
        active billing_scheme created currency currency_options custom_unit_amount id livemode lookup_key
        metadata nickname object product recurring tax_behavior tiers tiers_mode transform_quantity type
        unit_amount unit_amount_decimal
        """
    ),
    "subscription": _fields(
        """
        application application_fee_percent automatic_tax billing billing_cycle_anchor
        billing_cycle_anchor_config billing_mode billing_schedules billing_thresholds cancel_at
        cancel_at_period_end canceled_at cancellation_details collection_method created currency
        current_period_end current_period_start customer customer_account days_until_due
        default_payment_method default_source default_tax_rates description discount discounts ended_at id
        invoice_customer_balance_settings invoice_settings items latest_invoice livemode managed_payments
        metadata next_pending_invoice_item_invoice object on_behalf_of pause_collection payment_settings
        pending_invoice_item_interval pending_setup_intent pending_update plan presentment_details
        quantity schedule start start_date status tax_percent test_clock transfer_data trial_end
        trial_settings trial_start
        """
    ),
    "discount": _fields(
        """
        checkout_session coupon customer customer_account end id invoice invoice_item object
        promotion_code source start subscription subscription_item
        """
    ),
    "invoice": _fields(
        """
        account_country account_name account_tax_ids amount_due amount_overpaid amount_paid
        amount_remaining amount_shipping application application_fee application_fee_amount attempt_count
        attempted auto_advance automatic_tax automatically_finalizes_at billing billing_reason charge
        closed collection_method confirmation_secret created currency custom_fields customer
        customer_account customer_address customer_email customer_name customer_phone customer_shipping
        customer_tax_exempt customer_tax_ids date default_payment_method default_source default_tax_rates
        description discount discounts due_date effective_at ending_balance finalized_at footer forgiven
        from_invoice hosted_invoice_url id invoice_pdf issuer last_finalization_error latest_revision
        lines livemode metadata next_payment_attempt number object on_behalf_of paid paid_out_of_band
        parent payment_intent payment_settings payments period_end period_start
        post_payment_credit_notes_amount pre_payment_credit_notes_amount quote receipt_number rendering
        rendering_options shipping_cost shipping_details starting_balance statement_descriptor status
        status_transitions subscription subscription_details subscription_proration_date subtotal
        subtotal_excluding_tax tax tax_percent test_clock threshold_reason total total_discount_amounts
        total_excluding_tax total_pretax_credit_amounts total_tax_amounts total_taxes transfer_data
        webhooks_delivered_at
        """
    ),
    "line_item": _fields(
        """
        amount amount_excluding_tax currency description discount_amounts discountable discounts id
        invoice invoice_item livemode margins metadata object parent period plan pretax_credit_amounts
        price pricing proration proration_details quantity quantity_decimal subscription subscription_item
        subtotal tax_amounts tax_calculation_reference tax_rates taxes type unique_id
        unit_amount_excluding_tax
        """
    ),
    "charge": _fields(
        """
        amount amount_captured amount_refunded application application_fee application_fee_amount
        authorization_code balance_transaction billing_details calculated_statement_descriptor captured
        created currency customer description destination dispute disputed failure_balance_transaction
        failure_code failure_message fraud_details id invoice level3 livemode metadata object on_behalf_of
        order outcome paid payment_intent payment_method payment_method_details presentment_details
        radar_options receipt_email receipt_number receipt_url refunded refunds review shipping source
        source_transfer statement_descriptor statement_descriptor_suffix status transfer_data
        transfer_group
        """
    ),
    "refund": _fields(
        """
        amount balance_transaction charge created currency customer customer_account description
        destination_details failure_balance_transaction failure_reason id instructions_email metadata
        next_action object payment_intent payment_method pending_reason presentment_details reason
        receipt_number source_transfer_reversal status transfer_reversal
        """
    ),
    "credit_note": _fields(
        """
        amount amount_shipping created currency customer customer_account customer_balance_transaction
        discount_amount discount_amounts effective_at id invoice lines livemode memo metadata number
        object out_of_band_amount pdf post_payment_amount pre_payment_amount pretax_credit_amounts reason
        refund refunds shipping_cost status subtotal subtotal_excluding_tax tax_amounts total
        total_excluding_tax total_taxes type voided_at
        """
    ),
}
