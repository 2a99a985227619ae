/* The vault: sealing, binding to a place, the wrong key, rotation. */
#include "unit/tenant_fixture.h"

#include "base/clock.h"
#include "base/limits.h"
#include "core/vault.h"
#include "log/metrics.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static void keys_read(struct fixture *f, struct keyring *k, const char *setting)
{
    *k = (struct keyring){0};
    OK(f, keyring_parse(k, str_c(setting), &f->e));
}

static struct str org_with_key(struct fixture *f, const struct keyring *k, const char *slug)
{
    struct str email = arena_printf(f->a, "%s@x.example", slug);
    struct str owner = make_user(f, email.p), wrapped;
    struct org o = {.id = new_id(f, "org"), .slug = str_c(slug), .name = STR("O")};
    OK(f, vault_make_data_key(k, o.id, f->a, &wrapped, &f->e));
    OK(f, orgs_insert(f->db, f->a, &o, wrapped, owner, &f->e));
    return o.id;
}

#define PLACE(org, row) (&(struct vault_place){org, STR("credentials"), STR("sealed"), STR(row)})

static void opens_as(struct fixture *f, struct vault *v, struct str org, struct str sealed,
                     const char *text)
{
    struct secret s = {0};
    OK(f, vault_open(v, f->a, PLACE(org, "r1"), sealed, &s, &f->e));
    assert_true(str_eq(secret_reveal(&s), str_c(text)));
    secret_end(&s);
}

static void seal_body(struct fixture *f)
{
    struct keyring k;
    keys_read(f, &k, KEY_A);
    struct str org = org_with_key(f, &k, "one"), other = org_with_key(f, &k, "two"), sealed, again;
    struct vault *v = vault_new(&k, f->db, &f->e);
    struct secret s = {0};
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("hunter2"), &sealed, &f->e));
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("hunter2"), &again, &f->e));
    assert_false(str_eq(sealed, again));
    assert_true(str_find(sealed, STR("hunter2")) == SIZE_MAX);
    opens_as(f, v, org, sealed, "hunter2");

    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, PLACE(org, "r2"), sealed, &s, &f->e));
    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, PLACE(other, "r1"), sealed, &s, &f->e));
    struct vault_place elsewhere = {org, STR("oauth"), STR("sealed"), STR("r1")};
    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, &elsewhere, sealed, &s, &f->e));
    char *bent = arena_cstr(f->a, sealed);
    bent[sealed.n / 2] = bent[sealed.n / 2] == 'A' ? 'B' : 'A';
    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, PLACE(org, "r1"), str_c(bent), &s, &f->e));
    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, PLACE(org, "r1"), STR("plain"), &s, &f->e));
    FAILS(f, ERR_NOT_FOUND, vault_open(v, f->a, PLACE(STR("org_x"), "r1"), sealed, &s, &f->e));

    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR(""), &sealed, &f->e));
    opens_as(f, v, org, sealed, "");
    vault_free(v);
    keyring_end(&k);
}

static void a_secret_opens_only_where_it_was_put(unused_arg void **state)
{
    with_store(seal_body);
}

static void shred_body(struct fixture *f)
{
    struct keyring k;
    keys_read(f, &k, KEY_A);
    struct str org = org_with_key(f, &k, "one"), sealed;
    struct vault *v = vault_new(&k, f->db, &f->e);
    struct secret s = {0};
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("x"), &sealed, &f->e));
    opens_as(f, v, org, sealed, "x");
    OK(f, orgs_delete(f->db, f->a, org, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, vault_open(v, f->a, PLACE(org, "r1"), sealed, &s, &f->e));
    vault_free(v);
    keyring_end(&k);
}

static void deleting_an_organization_shreds_its_secrets(unused_arg void **state)
{
    with_store(shred_body);
}

static void warm_body(struct fixture *f)
{
    struct keyring k;
    keys_read(f, &k, KEY_A);
    struct str org = org_with_key(f, &k, "one"), sealed, other;
    struct vault *v = vault_new(&k, f->db, &f->e);
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("x"), &sealed, &f->e));
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("y"), &other, &f->e));
    for (int i = 0; i < 3; i++) {
        opens_as(f, v, org, sealed, "x");
        opens_as(f, v, org, other, "y");
    }
    assert_int_equal(metric_value(M_SECRETS_WARM), 2);
    int64_t deadline = clock_mono_ms() + 20 * LIMIT_SECRET_WARM_MS;
    while (metric_value(M_SECRETS_WARM) > 0 && clock_mono_ms() < deadline)
        OK(f, fiber_sleep_until(clock_mono_ms() + 20, &f->e));
    assert_int_equal(metric_value(M_SECRETS_WARM), 0);

    opens_as(f, v, org, sealed, "x");
    assert_int_equal(metric_value(M_SECRETS_WARM), 1);
    org_with_key(f, &k, "two"); /* authorization data has changed: who opens next finds nothing */
    opens_as(f, v, org, other, "y");
    assert_int_equal(metric_value(M_SECRETS_WARM), 1);
    vault_free(v);
    assert_int_equal(metric_value(M_SECRETS_WARM), 0);
    keyring_end(&k);
}

static void an_opened_secret_is_wiped_after_a_moment(unused_arg void **state)
{
    with_store(warm_body);
}

static void check_body(struct fixture *f)
{
    struct keyring a, b, both;
    keys_read(f, &a, KEY_A);
    keys_read(f, &b, KEY_B);
    keys_read(f, &both, KEY_B "," KEY_A);
    OK(f, vault_check(&a, f->db, f->a, &f->e));
    OK(f, vault_check(&a, f->db, f->a, &f->e));
    OK(f, vault_check(&both, f->db, f->a, &f->e));
    FAILS(f, ERR_INVALID, vault_check(&b, f->db, f->a, &f->e));
    assert_non_null(strstr(f->e.msg, a.keys[0].id));
    assert_non_null(strstr(f->e.msg, b.keys[0].id));
    keyring_end(&a);
    keyring_end(&b);
    keyring_end(&both);
}

static void a_wrong_key_is_refused_by_name(unused_arg void **state)
{
    with_store(check_body);
}

static void rotate_body(struct fixture *f)
{
    enum { ORGS = 205 }; /* more than two pages */
    struct keyring a, b, both;
    keys_read(f, &a, KEY_A);
    keys_read(f, &b, KEY_B);
    keys_read(f, &both, KEY_B "," KEY_A);
    OK(f, vault_check(&a, f->db, f->a, &f->e));
    struct str org = STR_NONE, sealed;
    for (int i = 0; i < ORGS; i++)
        org = org_with_key(f, &a, arena_printf(f->a, "o%d", i).p);
    struct vault *v = vault_new(&a, f->db, &f->e);
    OK(f, vault_seal(v, f->a, PLACE(org, "r1"), STR("kept"), &sealed, &f->e));
    vault_free(v);

    int64_t n = 0;
    struct secret s = {0};
    v = vault_new(&b, f->db, &f->e);
    FAILS(f, ERR_INTERNAL, vault_rotate(v, f->a, &n, &f->e));
    FAILS(f, ERR_INTERNAL, vault_open(v, f->a, PLACE(org, "r1"), sealed, &s, &f->e));
    vault_free(v);
    v = vault_new(&both, f->db, &f->e);
    OK(f, vault_rotate(v, f->a, &n, &f->e));
    assert_int_equal(n, ORGS + 1);
    OK(f, vault_rotate(v, f->a, &n, &f->e));
    assert_int_equal(n, 0);
    vault_free(v);

    OK(f, vault_check(&b, f->db, f->a, &f->e));
    FAILS(f, ERR_INVALID, vault_check(&a, f->db, f->a, &f->e));
    v = vault_new(&b, f->db, &f->e);
    opens_as(f, v, org, sealed, "kept");
    vault_free(v);
    keyring_end(&a);
    keyring_end(&b);
    keyring_end(&both);
}

static void rotation_rewraps_all_and_secrets_stay(unused_arg void **state)
{
    with_store(rotate_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_opens_only_where_it_was_put),
        cmocka_unit_test(deleting_an_organization_shreds_its_secrets),
        cmocka_unit_test(an_opened_secret_is_wiped_after_a_moment),
        cmocka_unit_test(a_wrong_key_is_refused_by_name),
        cmocka_unit_test(rotation_rewraps_all_and_secrets_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
