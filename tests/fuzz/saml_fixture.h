/* Written by make_saml.mjs: keys of tests, of no use elsewhere. */
#pragma once

#define SAML_NOW_MS 1795262400000LL
#define SAML_BASE   "https://tulle.example/auth/saml/idp_00000000000000000000000000000000"
/* the identity provider's certificate, and the service provider's private key, in base64 */
/* clang-format off */
#define SAML_IDP_CERTIFICATE \
    "MIIDBzCCAe+gAwIBAgIULnJjhWR5F8j89iyingCecYSXLnQwDQYJKoZIhvcNAQELBQAwEzERMA8GA1UEAwwIdGVz" \
    "dCBpZHAwHhcNMjYxMTIxMTE1MTU1WhcNMjYxMjIxMTE1MTU1WjATMREwDwYDVQQDDAh0ZXN0IGlkcDCCASIwDQYJ" \
    "KoZIhvcNAQEBBQADggEPADCCAQoCggEBALMhGYSRJp2ta6uFBTw/S9ZGAe6fVvkLB4Sem06yA2+zD2sna6vhVRGg" \
    "bCl8Uxy9Kjgw70unB/jheDCGxHgOS1wOULpgqELSa7MqLW8yWbXKU38MlB+WKZEB3GZjSRKT/NeXbVqLkTefQv9V" \
    "TFQUl8VFXLOFW6UbJWLJUki9juKhXMO6/6PabMufLtEz/RWLNIofzAYtXpiNQfwy32mXRp3kUz210fLUiufHqly5" \
    "Vj4tWahiqzXSVG5O6QaeQosEgznh8po7DsYBhPJHLGLEsSnUCp37ahU1UaqeG+fNykMhvWUhrU07AfLM/ixfUQAf" \
    "NSPUsa491fbsBrDYkdYMsmUCAwEAAaNTMFEwHQYDVR0OBBYEFLY8nkQiMIq13eA/m5wC75E14mYbMB8GA1UdIwQY" \
    "MBaAFLY8nkQiMIq13eA/m5wC75E14mYbMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBADLASHXN" \
    "KMYGUOSVxi+8vS5aKEYZMj1lu8KlLThV5HadoRejN+cAbmfUTeOKOUGI+txStjewuCrJdKl7ivKnaN5NgpYbXA7g" \
    "40HsjLI7CM9UUc65JTROvB57zSZzF0aa4L3UGGcY4Pdiq6R9yzKzz+VE14pwRko36003l0Jm/k799c6OnyUvGlRs" \
    "KnD4BNJT6RgaYRYNL2wLrge0t8oAoXL+XZdeImCP9jV3xRAmAjMwhMLEKcFDoT51xZD76J3zxF9jDj6HrPdgxxw/" \
    "dUkhR1pCtkneHxtc623AFnMuG/ERoYCQTDJ2+tyNWnPCwKgKs9IJlnwKWAGScz4NWZeBc7Q="
#define SAML_SP_KEY \
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCTdqNxsctq5NyQZ4b8ucwvjjdONFIpC8Mxsr8l" \
    "hHMomaHXNsM3c/Bji03SNWIREaUsN9By3lVWoDSpEk++KfyhUzXIYl1UW9vUSzfJrJmtG69hGDuuvsLRJ5nv6D+h" \
    "qw3i1CIZA5QNXQKxzcZHyLMYCbSsN4/4saZM9Ti0Y5JZagtiZwFrDd8uh8WWe4auX4yWOXe84xgxSHk+28XjOGtW" \
    "N8YTYNoW3XxekPsh/bRq+nM6Rd8P0kIdZ/mVkKHH0DfsaOkEtrcnVZl5CsyNDgwxG9jV+crRflaDsaHAfOIjNaWs" \
    "T7ylYjJeif3smYoE5QYr93BEkwgKa1o82YIedWx1AgMBAAECggEAEKPclwx8ay2Jg3S16M2BMFnt/RHZC5oGMWoo" \
    "OQWUhnT/rEIZDqgzQihgDw5zEytYkNV43N1158vgOraURQiGjMsk+zMOW7dEkSouZhWR/yoWmkWacSzu3ZyIZGgN" \
    "diLP8v6uclV9tBxWHNZJlPly1uLm07WEC4jlvogVbqr7GBe8H15+WrtnABSfbijM51EnRd+s07N7PEqAmpGk5uSa" \
    "GB9sw0DzkVOXcUhzimEzmIT6PPnvZdCGiYx6VGArAQtyMeplwTtxhjM7dMEh9xyxqzm8P7bp29ftH1sRxd7ny+fh" \
    "a47fGHkIJmvrnBSIZDolS2vFr5yElmq3ccUWYR276QKBgQDHqA3wew9jb5H6YtENfwacofIrndmrSY8mahCF2P8S" \
    "nuCm+bntdyEiYcFKO6EX/xmxn0x6J3sv0LsHsaRf7g61yTI3IDTCcK0/q43hMiL7JCqE3ue9CeicvGXHcNiY4OlB" \
    "R6lM7fTrKYSEK9R/A5hWO206l0VxyPjolUbgWcmm3wKBgQC9E/XF0tUXZjd3bRM1foZVafzZCBwtnHQs1NrG0VTv" \
    "sBxP6LD1LReYzDDAAo9cC2THuPgWwJpmWHqvoMXavnZqwkpMmD2kn5mX0A1iJnaLNAK5P626JKoR3hcgpGfJxfG+" \
    "WJfxsHP44KWt6Izys3x/YFBij6oTPBgTqmp+qP87KwKBgBCSopWToXNfj355NWEpaiMWTkPQloDhWkCWDUkO+h1R" \
    "ktRJZmWPvfBcrO68hGK5iih0UKTTIiaV7PB2jm5oFFCCouhwg/Cf6cGfO+e1gbHXDrB40EOgzu4ztT8Y3uHRyYrh" \
    "p+v61JmwmI9gFAN3CO4fgLGcXOdVB1RHD9sPmO2BAoGAQnl/AgLiuixMuecWRstp7SOrKp6IUZzc11oqZJX6F57C" \
    "BXIYrMoirqyzQv5jaofy8ajdSBqE7hCTaaXLieFGfrg6KP2pRnR6Kn6SBfzh1oT9pCV4LaZwSIHdfbNvbefy2uoI" \
    "2Ycg7tIETcUhsL5bueihulUqBUMub9ONR2Sg/ysCgYBIpi9ipl8Wdai53CShOHtTQ2+APHP3S8LJE9tyoYEzw9eK" \
    "j0e07oUAtjXFhqlYJGO+P1dPdG854XRXoXQbgu8KHxlbC1uxfCjcey/o2suxuFlt3LwdH2MFa6BuMKHxk8VZlKt1" \
    "zEvXqhhKNHOftjQrVN8FY+ns2gRry9eDARXFqg=="
/* clang-format on */
