/* SAML metadata that is read again: when, and by whom. */
#include "unit/tenant_fixture.h"

#include "auth/saml/metadata.h"
#include "auth/saml/refresh.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/sign.h"
#include "store/saml_metadata.h"
#include "store/sso_providers.h"

enum { SECOND = 1000, HOUR = 60 * 60 * 1000, DAY = 24 * HOUR };

static void expect_duration(const char *text, int64_t ms)
{
    int64_t got;
    assert_true(saml_duration(str_c(text), &got));
    assert_int_equal(got, ms);
}

static void durations_are_read_in_the_order_of_their_units(unused_arg void **state)
{
    static const char *const wrong[] = {"",      "P",      "PT",        "P1",     "1D",
                                        "PD",    "P1H",    "PT1D",      "P1DT",   "-P1D",
                                        "P1S",   "PT1S1M", "P1D1Y",     "P1D1D",  "PT1H1H",
                                        "PTT1H", "PT1H ",  "P9999999D", "PT1.5S", "P1DT1HT1H"};
    int64_t ignored;
    expect_duration("PT1H", HOUR);
    expect_duration("P1D", DAY);
    expect_duration("P1DT2H3M4S", INT64_C(1) * DAY + 2 * HOUR + 3 * 60 * SECOND + 4 * SECOND);
    expect_duration("P1Y2M", INT64_C(425) * DAY);
    expect_duration("PT3600S", HOUR);
    expect_duration("PT0S", 0);
    expect_duration("P999999Y", INT64_C(3650) * DAY);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(saml_duration(str_c(wrong[i]), &ignored));
}

#define AT (INT64_C(20000) * DAY)

/* The longest and the shortest that chance gives. */
static void expect_pause(int64_t valid_until, int64_t cache_ms, int64_t longest)
{
    assert_int_equal(saml_refresh_pause_ms(AT, valid_until, cache_ms, 0), longest);
    for (uint64_t chance = 1; chance < 1000000; chance = chance * 3 + 1) {
        int64_t ms = saml_refresh_pause_ms(AT, valid_until, cache_ms, chance * 7919);
        assert_true(ms <= longest && ms > longest - longest / 8);
    }
}

static void the_next_reading_is_as_metadata_says_within_an_hour_and_a_day(unused_arg void **state)
{
    expect_pause(0, 0, DAY);
    expect_pause(0, 6 * HOUR, 6 * HOUR);
    expect_pause(0, SECOND, HOUR);
    expect_pause(0, INT64_C(30) * DAY, DAY);
    expect_pause(AT + 3 * HOUR, 6 * HOUR, 3 * HOUR);
    expect_pause(AT + INT64_C(30) * DAY, 0, DAY);
    expect_pause(AT - DAY, 0, HOUR);
}

static struct sso_provider provider_make(struct fixture *f, struct str org, const char *kind,
                                         const char *config)
{
    struct sso_provider p = provider_of(f, org);
    p.kind = str_c(kind);
    p.config = str_c(config);
    OK(f, sso_providers_insert(f->db, f->a, &p, &f->e));
    return p;
}

#define WITH_URL "{\"idp_metadata_url\":\"https://idp.example/m\",\"refresh_metadata\":true}"

static size_t due(struct fixture *f, int64_t now, struct str *first)
{
    struct str *ids;
    size_t n;
    OK(f, saml_metadata_due(f->db, f->a, now, &ids, &n, &f->e));
    *first = n ? ids[0] : STR_NONE;
    return n;
}

static void due_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "aaa");
    struct sso_provider ours = provider_make(f, t.org, "saml", WITH_URL), got;
    struct saml_metadata_state state;
    struct str id;
    struct db *db = f->db;
    (void)provider_make(f, t.org, "saml",
                        "{\"idp_metadata_url\":\"https://x\","
                        "\"refresh_metadata\":false}");
    (void)provider_make(f, t.org, "saml", "{}");
    /* stored before anything was read again: nobody has asked for it */
    (void)provider_make(f, t.org, "saml", "{\"idp_metadata_url\":\"https://x\"}");
    (void)provider_make(f, t.org, "oidc", WITH_URL);
    assert_int_equal(due(f, NOW, &id), 1);
    assert_true(str_eq(id, ours.id));
    FAILS(f, ERR_NOT_FOUND, saml_metadata_get(db, f->a, ours.id, &state, &f->e));

    /* one of several nodes has it */
    OK(f, saml_metadata_lease(db, f->a, ours.id, NOW, NOW + HOUR, &f->e));
    FAILS(f, ERR_NOT_FOUND, saml_metadata_lease(db, f->a, ours.id, NOW, NOW + HOUR, &f->e));
    FAILS(f, ERR_NOT_FOUND, saml_metadata_lease(db, f->a, STR("idp_x"), NOW, NOW + HOUR, &f->e));
    assert_int_equal(due(f, NOW, &id), 0);
    assert_int_equal(due(f, NOW + HOUR, &id), 1); /* whoever died gives way */
    OK(f, saml_metadata_lease(db, f->a, ours.id, NOW + HOUR, NOW + 2 * HOUR, &f->e));

    OK(f, saml_metadata_note(db, f->a, ours.id, NOW + 5, NOW + DAY, STR_NONE, &f->e));
    OK(f, saml_metadata_note(db, f->a, ours.id, NOW + 9, NOW + DAY, STR("down"), &f->e));
    OK(f, saml_metadata_get(db, f->a, ours.id, &state, &f->e));
    assert_int_equal(state.read_at, NOW + 5);
    assert_str(state.problem, "down");
    assert_int_equal(due(f, NOW + DAY - 1, &id), 0);
    OK(f, saml_metadata_forget(db, f->a, ours.id, &f->e));
    OK(f, saml_metadata_get(db, f->a, ours.id, &state, &f->e));
    assert_true(str_is_absent(state.problem));
    assert_int_equal(due(f, NOW, &id), 1);

    /* what an administrator changed meanwhile stays */
    FAILS(f, ERR_NOT_FOUND,
          sso_providers_set_config(db, f->a, ours.id, STR("{}"), STR("{1}"), NOW + 1, &f->e));
    OK(f, sso_providers_set_config(db, f->a, ours.id, ours.config, STR("{2}"), NOW + 1, &f->e));
    OK(f, sso_providers_get(db, f->a, ours.id, &got, &f->e));
    assert_str(got.config, "{2}");
    assert_int_equal(due(f, NOW + DAY, &id), 0);
}

static void metadata_with_an_address_is_one_nodes_work_at_a_time(unused_arg void **state)
{
    with_store(due_body);
}

/* A configuration as it was stored before metadata was read again, in the order of its members. */
static struct str old_config(struct arena *a)
{
    struct secret key = {NULL, 0};
    struct buf text;
    assert_true(sign_key_make_rsa(&key));
    struct str der = certificate_make(a, secret_reveal(&key), STR("idp"));
    secret_end(&key);
    assert_false(str_is_absent(der));
    buf_init(&text, (size_t)64 * 1024);
    buf_add(&text, STR("{\"idp_entity_id\":\"https://idp.example\",\"sso_url\":"
                       "\"https://idp.example/sso\",\"sso_is_post\":false,\"slo_is_post\":false,"
                       "\"idp_metadata_url\":\"https://idp.example/m\",\"sign_requests\":true,"
                       "\"allow_idp_initiated\":false,\"clock_skew_s\":60,\"attributes\":{},"
                       "\"certificates\":[\""));
    text_b64(&text, der.p, der.n);
    buf_add(&text, STR("\"]}"));
    struct str made = arena_dup(a, buf_str(&text));
    buf_end(&text);
    return made;
}

/* What the configuration is after a change of these arguments. */
static struct str changed(struct arena *a, struct str config, const char *args)
{
    struct err e;
    struct services sv = {.db = NULL};
    struct jdoc *present = jdoc_parse(config, &e), *given = jdoc_parse(str_c(args), &e);
    struct buf out;
    struct jout j;
    assert_true(present && given);
    buf_init(&out, (size_t)64 * 1024);
    jout_init(&j, &out);
    jout_object(&j);
    assert_true(saml_settings_write(&sv, a, jdoc_root(given), jdoc_root(present), &j, &e));
    jout_object_end(&j);
    struct str made = arena_dup(a, buf_str(&out));
    buf_end(&out);
    jdoc_free(given);
    jdoc_free(present);
    return made;
}

static void
what_was_stored_before_stays_and_is_read_again_where_that_is_said(unused_arg void **state)
{
    struct arena *a = arena_new((size_t)1024 * 1024);
    struct str old = old_config(a), now;
    /* the same text: a new name makes no change that takes the owners' trust away */
    assert_true(str_eq(changed(a, old, "{}"), old));
    now = changed(a, old, "{\"refresh_metadata\":true,\"sso_url\":\"https://idp.example/2\"}");
    assert_true(str_find(now, STR("\"refresh_metadata\":true,\"pinned\":[\"sso_url\"]")) !=
                SIZE_MAX);
    assert_true(str_eq(changed(a, now, "{}"), now));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_in_the_order_of_their_units),
        cmocka_unit_test(the_next_reading_is_as_metadata_says_within_an_hour_and_a_day),
        cmocka_unit_test(metadata_with_an_address_is_one_nodes_work_at_a_time),
        cmocka_unit_test(what_was_stored_before_stays_and_is_read_again_where_that_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
