{#- An address as its provider reads it: lower case, without a +tag; Gmail also ignores dots and its second domain. -#}
{% macro normal_email(email) -%}
    {%- set mailbox -%}
    regexp_replace(split_part(lower(trim({{ email }})), '@', 1), '\+.*$', '')
    {%- endset -%}
    case
        when split_part(lower(trim({{ email }})), '@', 2) in ('gmail.com', 'googlemail.com')
            then replace({{ mailbox }}, '.', '') || '@gmail.com'
        when contains({{ email }}, '@')
            then {{ mailbox }} || '@' || split_part(lower(trim({{ email }})), '@', 2)
    end
{%- endmacro %}

{#- A tax id without its punctuation. -#}
{% macro tax_number(tax_id) -%}
    nullif(regexp_replace(upper({{ tax_id }}), '[^0-9A-Z]', '', 'g'), '')
{%- endmacro %}

{#- Words of a name in lower-case letters without accents, divided by one blank; a dot divides nothing (S.p.A.). -#}
{% macro name_words(name) -%}
    nullif(trim(regexp_replace(
        strip_accents(replace(replace(replace(replace(lower({{ name }}), 'ß', 'ss'), '&', ' and '), '.', ''), '''', '')),
        '[^\p{L}\p{N}]+', ' ', 'g'
    )), '')
{%- endmacro %}

{#- A company's name without its legal form and an article before it. -#}
{% macro core_name(words) -%}
    coalesce(
        nullif(trim(regexp_replace(' ' || regexp_replace({{ words }}, '^the ', ''), '{{ legal_form_pattern() }}', '')), ''),
        {{ words }}
    )
{%- endmacro %}

{#- The legal form as it is compared: one way to write each. -#}
{% macro legal_form(words) -%}
    nullif(array_to_string(list_transform(
        string_split(trim(regexp_extract(' ' || {{ words }}, '{{ legal_form_pattern() }}')), ' '),
        word -> coalesce(map {
            {%- for form, written in legal_forms().items() if written %}
            '{{ written }}': '{{ form }}'{{ ',' if not loop.last }}
            {%- endfor %}
        } [word], word)
    ), ' '), '')
{%- endmacro %}

{#- Words at the end of a company's name that tell its legal form. -#}
{% macro legal_form_pattern() -%}
    (?: (?:and )?(?:
    {%- for form, written in legal_forms().items() -%}
    {{ form }}{{ '|' ~ written if written }}{{ '|' if not loop.last }}
    {%- endfor -%}
    ))+$
{%- endmacro %}

{#- Legal form -> how else it is written. -#}
{% macro legal_forms() -%}
    {%- do return({
        'ltd': 'limited', 'inc': 'incorporated', 'corp': 'corporation', 'co': 'company', 'llc': none, 'llp': none,
        'lp': none, 'plc': none, 'pllc': none, 'cic': none, 'dac': none,
        'gmbh': none, 'mbh': none, 'ag': 'aktiengesellschaft', 'kg': 'kommanditgesellschaft', 'kgaa': none,
        'ohg': none, 'ug': none, 'gbr': none, 'ev': none, 'eg': none, 'ek': none, 'se': none,
        'sa': none, 'sas': none, 'sasu': none, 'sarl': none, 'eurl': none, 'snc': none, 'sci': none, 'sprl': none,
        'srl': none, 'spa': none, 'bv': none, 'bvba': none, 'nv': none, 'vof': none, 'cv': none,
        'sl': none, 'slu': none, 'sau': none, 'lda': none, 'ltda': none, 'eireli': none, 'sab': none,
        'ab': 'aktiebolag', 'as': none, 'aps': 'anpartsselskab', 'asa': none, 'oy': 'osakeyhtio', 'oyj': none,
        'hf': none, 'ehf': none, 'ou': none, 'sia': none, 'uab': none,
        'sp z oo': none, 'spzoo': none, 'sro': none, 'doo': none, 'dd': none, 'kft': none, 'zrt': none,
        'nyrt': none, 'eood': none, 'ood': none, 'ad': none, 'ooo': none, 'zao': none, 'pjsc': none,
        'pty': 'proprietary', 'pte': none, 'pvt': 'private', 'bhd': 'berhad', 'sdn': none, 'tbk': none,
        'kk': none, 'gk': none, 'fze': none, 'fzco': none, 'wll': none,
    }) -%}
{%- endmacro %}

{#- A country by its two letters, where it is written out. -#}
{% macro country_code(country) -%}
    case upper(trim({{ country }}))
        {%- for code, names in {
            'US': ['USA', 'U.S.', 'U.S.A.', 'UNITED STATES', 'UNITED STATES OF AMERICA'],
            'GB': ['UK', 'U.K.', 'UNITED KINGDOM', 'GREAT BRITAIN', 'ENGLAND'], 'DE': ['GERMANY', 'DEUTSCHLAND'],
            'FR': ['FRANCE'], 'ES': ['SPAIN', 'ESPAÑA'], 'IT': ['ITALY', 'ITALIA'], 'IE': ['IRELAND'],
            'NL': ['NETHERLANDS', 'THE NETHERLANDS', 'HOLLAND'], 'BE': ['BELGIUM'], 'LU': ['LUXEMBOURG'],
            'AT': ['AUSTRIA', 'ÖSTERREICH'], 'CH': ['SWITZERLAND', 'SCHWEIZ', 'SUISSE'], 'DK': ['DENMARK'],
            'SE': ['SWEDEN'], 'NO': ['NORWAY'], 'FI': ['FINLAND'], 'PL': ['POLAND'], 'PT': ['PORTUGAL'],
            'CZ': ['CZECHIA', 'CZECH REPUBLIC'], 'HU': ['HUNGARY'], 'RO': ['ROMANIA'], 'GR': ['GREECE'],
            'CA': ['CANADA'], 'MX': ['MEXICO'], 'BR': ['BRAZIL', 'BRASIL'], 'AU': ['AUSTRALIA'],
            'NZ': ['NEW ZEALAND'], 'JP': ['JAPAN'], 'CN': ['CHINA'], 'IN': ['INDIA'], 'SG': ['SINGAPORE'],
            'KR': ['KOREA', 'SOUTH KOREA'], 'ZA': ['SOUTH AFRICA'], 'IL': ['ISRAEL'], 'TR': ['TURKEY', 'TÜRKIYE'],
            'AE': ['UAE', 'UNITED ARAB EMIRATES'], 'RU': ['RUSSIA'], 'UA': ['UKRAINE'],
        }.items() %}
        {%- for name in names %}
        when '{{ name }}' then '{{ code }}'
        {%- endfor %}
        {%- endfor %}
        else nullif(upper(trim({{ country }})), '')
    end
{%- endmacro %}
