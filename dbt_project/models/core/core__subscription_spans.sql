-- MRR changes at few instants. Between two of them it is computed once; a month's end, a renewal or any other
-- instant t looks up the stretch with from_at < t <= until_at, the last moment before t.
{%- set counted_discounts = {'all': 'true', 'forever_only': 'ends_at is null', 'none': 'false'} %}
{%- set service_ends = {
    'service_end': 'subscriptions.ended_at',
    'cancellation': 'least(subscriptions.ended_at, subscriptions.canceled_at)',
} %}

with

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}
    where not coalesce(is_deleted, false)

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

prices as (

    select * from {{ ref('billing__prices') }}

),

all_items as (

    select * from {{ ref('billing__subscription_items') }}
    where not coalesce(is_deleted, false)

),

all_discounts as (

    select
        *,
        {{ counted_discounts[var('policies').discounts] }} as is_counted

    from {{ ref('billing__discounts') }}
    where not coalesce(is_deleted, false)

),

stops as (

    select * from {{ ref('core__subscription_stops') }}

),

dated_stops as (

    select
        source,
        subscription_id,
        bool_or(reason = 'paused') as has_pause,
        bool_or(reason = 'past_grace') as has_failure

    from stops
    group by all

),

-- Some statuses never were revenue; a trial without an end, or a stop that nothing dates, cannot be either.
services as (

    select
        subscriptions.source,
        subscriptions.subscription_id,
        subscriptions.customer_id,
        billing_links.account,
        subscriptions.currency,
        greatest(coalesce(subscriptions.started_at, subscriptions.created_at), subscriptions.trial_end)
            as paid_from,
        {{ service_ends[var('policies').churn_date] }} as service_end,
        subscriptions.ended_at

    from subscriptions
    left join billing_links
        on
            subscriptions.source = billing_links.source
            and subscriptions.customer_id = billing_links.customer_id
    left join dated_stops
        on
            subscriptions.source = dated_stops.source
            and subscriptions.subscription_id = dated_stops.subscription_id
    where
        case coalesce(subscriptions.status, 'active')
            when 'incomplete' then false
            when 'incomplete_expired' then false
            when 'trialing' then subscriptions.trial_end is not null
            when 'paused' then coalesce(dated_stops.has_pause, false)
            when 'unpaid' then coalesce(dated_stops.has_failure, false)
            else true
        end

),

-- An item without a price in the list is taken to be recurring: its row says what is paid.
items as (

    select
        all_items.source,
        all_items.subscription_id,
        all_items.subscription_item_id,
        all_items.valid_from,
        all_items.valid_to,
        all_items.interval,
        all_items.currency,
        cast(coalesce(all_items.interval_count, 1) as hugeint) as interval_count,
        {{ ten_thousandths('all_items.unit_amount') }}
        * {{ ten_thousandths('coalesce(all_items.quantity, 1)') }}
        * {{ charges_a_year('all_items.interval') }} as amount_a_year

    from all_items
    left join prices
        on all_items.source = prices.source and all_items.price_id = prices.price_id
    where
        coalesce(prices.is_recurring, true)
        and coalesce(prices.usage_type, 'licensed') <> 'metered'
        and {{ charges_a_year('all_items.interval') }} is not null
        and coalesce(all_items.interval_count, 1) > 0

),

-- A customer's discount is one on each of their subscriptions.
given_discounts as (

    select
        services.source,
        services.subscription_id,
        all_discounts.discount_id,
        true as is_own

    from services
    inner join all_discounts
        on
            services.source = all_discounts.source
            and services.subscription_id = all_discounts.subscription_id

    union all

    select
        services.source,
        services.subscription_id,
        all_discounts.discount_id,
        false as is_own

    from services
    inner join all_discounts
        on services.source = all_discounts.source and services.customer_id = all_discounts.customer_id
    where all_discounts.subscription_id is null

),

discounts as (

    select
        given_discounts.source,
        given_discounts.subscription_id,
        given_discounts.is_own,
        all_discounts.is_counted,
        all_discounts.starts_at,
        all_discounts.ends_at,
        {{ ten_thousandths('coalesce(100 - all_discounts.percent_off, 100)') }} as percent_left,
        {{ ten_thousandths('all_discounts.amount_off') }} as amount_off

    from given_discounts
    inner join all_discounts
        on
            given_discounts.source = all_discounts.source
            and given_discounts.discount_id = all_discounts.discount_id

),

changes as (

    select source, subscription_id, paid_from as at from services
    union
    select source, subscription_id, unnest([service_end, ended_at]) from services
    union
    select source, subscription_id, unnest([valid_from, valid_to]) from items
    union
    select source, subscription_id, unnest([starts_at, ends_at]) from discounts
    union
    select source, subscription_id, unnest([since_at, until_at]) from stops

),

stretches as (

    select
        services.source,
        services.subscription_id,
        services.customer_id,
        services.account,
        services.currency,
        changes.at as from_at,
        lead(changes.at) over (
            partition by services.source, services.subscription_id
            order by changes.at
        ) as until_at,
        changes.at >= services.paid_from
        and coalesce(changes.at < services.service_end, true) as is_in_service,
        changes.at >= services.paid_from
        and coalesce(changes.at < services.ended_at, true) as is_served

    from services
    inner join changes
        on services.source = changes.source and services.subscription_id = changes.subscription_id
    where changes.at is not null

),

stopped as (

    select
        stretches.source,
        stretches.subscription_id,
        stretches.from_at,
        bool_or(stops.reason = 'paused') as is_paused,
        bool_or(stops.reason = 'past_grace') as is_past_grace

    from stretches
    inner join stops
        on
            stretches.source = stops.source
            and stretches.subscription_id = stops.subscription_id
            and stretches.from_at >= stops.since_at
            and coalesce(stretches.from_at < stops.until_at, true)
    group by all

),

items_in_force as (

    select
        stretches.source,
        stretches.subscription_id,
        stretches.from_at,
        items.currency,
        items.interval,
        items.interval_count,
        items.amount_a_year,
        items.valid_from,
        items.subscription_item_id

    from stretches
    inner join items
        on
            stretches.source = items.source
            and stretches.subscription_id = items.subscription_id
            and stretches.from_at >= items.valid_from
            and coalesce(stretches.from_at < items.valid_to, true)

),

-- What the counted months of the items in force go into, so that their fractions add up.
common_terms as (

    select
        source,
        subscription_id,
        from_at,
        any_value(currency) as currency,
        list_reduce(list(distinct interval_count), lambda x, y: lcm(x, y)) as terms,  -- noqa: PRS
        arg_max({{ charges_a_year('interval') }}, (valid_from, subscription_item_id)) as charges,
        arg_max(interval_count, (valid_from, subscription_item_id)) as charge_term

    from items_in_force
    group by all

),

-- A month's worth is the sum of the parts over 12 x terms x 10^8.
listed as (

    select
        common_terms.source,
        common_terms.subscription_id,
        common_terms.from_at,
        common_terms.currency,
        common_terms.terms,
        common_terms.charges * (common_terms.terms // common_terms.charge_term) as charges,
        sum(items_in_force.amount_a_year * (common_terms.terms // items_in_force.interval_count)) as amount

    from common_terms
    inner join items_in_force
        on
            common_terms.source = items_in_force.source
            and common_terms.subscription_id = items_in_force.subscription_id
            and common_terms.from_at = items_in_force.from_at
    group by all

),

-- A subscription's own discounts take the place of its customer's. Invoices know all, MRR the policy's.
discounts_in_force as (

    select
        stretches.source,
        stretches.subscription_id,
        stretches.from_at,
        discounts.percent_left,
        discounts.amount_off,
        discounts.is_own or not bool_or(discounts.is_own) over (
            partition by stretches.source, stretches.subscription_id, stretches.from_at
        ) as is_invoiced,
        discounts.is_counted
        and (
            discounts.is_own or not bool_or(discounts.is_own and discounts.is_counted) over (
                partition by stretches.source, stretches.subscription_id, stretches.from_at
            )
        ) as is_counted

    from stretches
    inner join discounts
        on
            stretches.source = discounts.source
            and stretches.subscription_id = discounts.subscription_id
            and stretches.from_at >= discounts.starts_at
            and coalesce(stretches.from_at < discounts.ends_at, true)

),

-- Percents multiply, as a reduced fraction; amounts add up.
given as (

    select
        source,
        subscription_id,
        from_at,
        list(percent_left // gcd(percent_left, 1000000)) filter (where is_counted)
            as counted_kept_parts,
        list(1000000 // gcd(percent_left, 1000000)) filter (where is_counted)
            as counted_kept_of_parts,
        list_reduce(counted_kept_parts, lambda x, y: x * y) as counted_kept,  -- noqa: PRS
        list_reduce(counted_kept_of_parts, lambda x, y: x * y) as counted_kept_of,  -- noqa: PRS
        sum(amount_off) filter (where is_counted) as counted_amount_off,
        list(percent_left // gcd(percent_left, 1000000)) filter (where is_invoiced)
            as invoiced_kept_parts,
        list(1000000 // gcd(percent_left, 1000000)) filter (where is_invoiced)
            as invoiced_kept_of_parts,
        list_reduce(invoiced_kept_parts, lambda x, y: x * y) as invoiced_kept,  -- noqa: PRS
        list_reduce(invoiced_kept_of_parts, lambda x, y: x * y) as invoiced_kept_of,  -- noqa: PRS
        sum(amount_off) filter (where is_invoiced) as invoiced_amount_off

    from discounts_in_force
    group by all

),

priced as (

    select
        listed.source,
        listed.subscription_id,
        listed.from_at,
        listed.currency,
        {%- for which in ['counted', 'invoiced'] %}
        listed.amount * coalesce(given.{{ which }}_kept, 1)
        - coalesce(given.{{ which }}_amount_off, 0) * 10000 * listed.charges
        * coalesce(given.{{ which }}_kept_of, 1) as {{ which }}_numerator,
        12 * listed.terms * coalesce(given.{{ which }}_kept_of, 1) * 100000000 as {{ which }}_denominator,
        {%- endfor %}
        {{ cents_of_fraction('listed.amount', '12 * listed.terms * 100000000') }} as list_mrr

    from listed
    left join given
        on
            listed.source = given.source
            and listed.subscription_id = given.subscription_id
            and listed.from_at = given.from_at

),

worths as (

    select
        stretches.*,
        {{ currency_or_reporting('coalesce(stretches.currency, priced.currency)') }} as currency_code,
        stopped.from_at is not null as is_stopped,
        coalesce(stopped.is_paused, false) as is_paused,
        coalesce(stopped.is_past_grace, false) as is_past_grace,
        case when stretches.is_in_service then coalesce(priced.list_mrr, 0) else 0 end as list_mrr,
        case
            when stretches.is_in_service and priced.counted_numerator > 0
                then {{ cents_of_fraction('priced.counted_numerator', 'priced.counted_denominator') }}
            else 0
        end as full_mrr,
        case
            when stretches.is_served and priced.invoiced_numerator > 0
                then {{ cents_of_fraction('priced.invoiced_numerator', 'priced.invoiced_denominator') }}
            else 0
        end as invoiced_mrr

    from stretches
    left join priced
        on
            stretches.source = priced.source
            and stretches.subscription_id = priced.subscription_id
            and stretches.from_at = priced.from_at
    left join stopped
        on
            stretches.source = stopped.source
            and stretches.subscription_id = stopped.subscription_id
            and stretches.from_at = stopped.from_at

),

final as (

    select
        source,
        subscription_id,
        customer_id,
        account,
        currency_code as currency,
        from_at,
        until_at,
        is_paused,
        is_past_grace,
        list_mrr,
        full_mrr,
        invoiced_mrr,
        case when is_stopped then 0 else full_mrr end as mrr

    from worths

)

select * from final
