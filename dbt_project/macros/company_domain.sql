{#- The domain that tells a company: of a web address, a domain or an e-mail address. NULL for domains anybody can
    have an address at. -#}
{% macro company_domain(address) -%}
    case
        when regexp_extract(lower(trim({{ address }})), '{{ domain_pattern() }}', 1) not in (
            {%- for domain in free_mail_domains() %}
            '{{ domain }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
            then nullif(regexp_extract(lower(trim({{ address }})), '{{ domain_pattern() }}', 1), '')
    end
{%- endmacro %}

{% macro domain_pattern() -%}
    ^(?:[a-z]+://)?(?:[^@/]*@)?(?:www\.)?([a-z0-9.-]+\.[a-z0-9-]+)
{%- endmacro %}

{% macro free_mail_domains() -%}
    {%- do return([
        'gmail.com', 'googlemail.com', 'outlook.com', 'hotmail.com', 'hotmail.co.uk', 'hotmail.fr', 'live.com',
        'msn.com', 'yahoo.com', 'yahoo.co.uk', 'yahoo.fr', 'yahoo.de', 'yahoo.co.jp', 'ymail.com', 'aol.com',
        'icloud.com', 'me.com', 'mac.com', 'proton.me', 'protonmail.com', 'pm.me', 'gmx.com', 'gmx.de', 'gmx.net',
        'gmx.at', 'gmx.ch', 'web.de', 't-online.de', 'freenet.de', 'mail.com', 'mail.ru', 'yandex.ru', 'yandex.com',
        'zoho.com', 'fastmail.com', 'hey.com', 'tutanota.com', 'orange.fr', 'free.fr', 'laposte.net', 'libero.it',
        'qq.com', '163.com', '126.com', 'comcast.net', 'verizon.net', 'btinternet.com',
    ]) -%}
{%- endmacro %}
