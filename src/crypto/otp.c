#include "crypto/otp.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/text.h"

/* HOTP (RFC 4226 5.3): four bytes of the MAC, chosen by its last one. */
void otp_code(struct str seed, int64_t step, char out[OTP_DIGITS + 1])
{
    unsigned char counter[8], mac[20];
    size_t n = 0;
    for (size_t i = 0; i < sizeof(counter); i++)
        counter[i] = (unsigned char)((uint64_t)step >> (56 - 8 * i));
    ensure(EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, seed.p, seed.n, counter, sizeof(counter),
                     mac, sizeof(mac), &n) &&
           n == sizeof(mac));
    size_t at = mac[19] & 0x0FU;
    uint32_t value = (mac[at] & 0x7FU) << 24 | (uint32_t)mac[at + 1] << 16 |
                     (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    for (int i = OTP_DIGITS - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    out[OTP_DIGITS] = '\0';
    secret_wipe(mac, sizeof(mac));
}

bool otp_check(struct str seed, struct str code, int64_t now_ms, int64_t *step)
{
    bool is_right = false;
    char expected[OTP_DIGITS + 1];
    int64_t now = otp_step(now_ms);
    for (int64_t s = now - 1; s <= now + 1; s++) {
        otp_code(seed, s, expected);
        if (text_eq_ct(code, str_c(expected))) {
            *step = s;
            is_right = true;
        }
    }
    secret_wipe(expected, sizeof(expected));
    return is_right;
}

void otp_base32(struct buf *out, const void *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const unsigned char *p = bytes;
    unsigned held = 0, n_held = 0;
    for (size_t i = 0; i < n; i++) {
        held = (held << 8 | p[i]) & 0xFFFU;
        for (n_held += 8; n_held >= 5; n_held -= 5)
            buf_add_char(out, digits[held >> (n_held - 5) & 31U]);
    }
    if (n_held > 0)
        buf_add_char(out, digits[held << (5 - n_held) & 31U]);
}
