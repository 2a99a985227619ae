/* Standing grants, devices, assertions, signing keys, idle clients and authorizations elsewhere. */
#include "unit/tenant_fixture.h"

#include "store/downstream_tokens.h"
#include "store/oauth_assertions.h"
#include "store/oauth_clients.h"
#include "store/oauth_devices.h"
#include "store/signing_keys.h"

#define DAY (INT64_C(24) * 60 * 60 * 1000)

static struct str make_client(struct fixture *f, const char *fingerprint)
{
    struct oauth_client out, c = {.id = new_id(f, "cli"),
                                  .fingerprint = str_c(fingerprint),
                                  .name = STR("Program"),
                                  .redirect_uris = STR("https://a.example/cb"),
                                  .auth_method = STR("none"),
                                  .metadata = STR("{}"),
                                  .created_at = NOW};
    OK(f, oauth_clients_register(f->db, f->a, &c, &out, &f->e));
    return out.id;
}

static struct oauth_grant make_grant(struct fixture *f, const char *name)
{
    struct str user = make_user(f, arena_cstr(f->a, arena_printf(f->a, "%s@acme.example", name)));
    return (struct oauth_grant){.id = new_id(f, "gnt"),
                                .org_id = make_org(f, name, user),
                                .user_id = user,
                                .client_id = make_client(f, name),
                                .resource = STR("hub"),
                                .scope = STR("mcp"),
                                .redirect_host = STR("")};
}

static struct oauth_pair access_of(const char *hash, int64_t now)
{
    return (struct oauth_pair){.access_hash = str_c(hash),
                               .access_scope = STR("mcp"),
                               .access_expires_at = now + 500,
                               .now = now};
}

/* ---- a grant that stands ---- */

static void standing(struct fixture *f)
{
    struct oauth_grant g = make_grant(f, "acme");
    struct oauth_pair one = access_of("a1", NOW), two = access_of("a2", NOW + 1),
                      three = access_of("a3", NOW + 2), four = access_of("a4", NOW + 3);
    struct oauth_access token;
    OK(f, oauth_tokens_issue(f->db, f->a, &g, &one, &f->e));
    OK(f, oauth_tokens_issue(f->db, f->a, &g, &two, &f->e));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 2, &token, &f->e));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 2, &token, &f->e));
    assert_true(str_eq(token.grant_id, g.id));
    OK(f, oauth_grants_revoke(f->db, f->a, g.org_id, STR_NONE, g.id, NOW + 2, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 2, &token, &f->e));
    OK(f, oauth_tokens_issue(f->db, f->a, &g, &three, &f->e));
    OK(f, oauth_tokens_issue(f->db, f->a, &g, &four, &f->e));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a4"), NOW + 4, &token, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 3, &token, &f->e));
}

static void a_revoked_grant_stands_again_without_its_old_tokens(void **state)
{
    (void)state;
    with_store(standing);
}

/* ---- clients that nobody uses ---- */

static void idle(struct fixture *f)
{
    struct oauth_grant g = make_grant(f, "acme");
    struct str unused = make_client(f, "unused");
    struct oauth_pair p = access_of("a1", NOW + 50 * DAY);
    struct oauth_client c;
    OK(f, oauth_tokens_issue(f->db, f->a, &g, &p, &f->e));
    OK(f, oauth_clients_purge_idle(f->db, f->a, NOW, &f->e));
    OK(f, oauth_clients_get(f->db, f->a, unused, &c, &f->e));
    OK(f, oauth_clients_purge_idle(f->db, f->a, NOW + 40 * DAY, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_clients_get(f->db, f->a, unused, &c, &f->e));
    OK(f, oauth_clients_get(f->db, f->a, g.client_id, &c, &f->e));
    OK(f, oauth_clients_purge_idle(f->db, f->a, NOW + 60 * DAY, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_clients_get(f->db, f->a, g.client_id, &c, &f->e));
}

static void a_client_goes_when_nobody_has_used_it_since(void **state)
{
    (void)state;
    with_store(idle);
}

/* ---- assertions ---- */

static void assertions(struct fixture *f)
{
    OK(f, oauth_assertions_use(f->db, f->a, STR("one"), NOW + 100, NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          oauth_assertions_use(f->db, f->a, STR("one"), NOW + 100, NOW + 50, &f->e));
    OK(f, oauth_assertions_use(f->db, f->a, STR("two"), NOW + 100, NOW + 50, &f->e));
}

static void an_assertion_is_used_once(void **state)
{
    (void)state;
    with_store(assertions);
}

/* ---- devices ---- */

static void devices(struct fixture *f)
{
    struct oauth_grant g = make_grant(f, "acme");
    struct oauth_device got, d = {.hash = STR("device"),
                                  .user_code_hash = STR("code"),
                                  .client_id = g.client_id,
                                  .scope = STR("mcp"),
                                  .interval_ms = 5000,
                                  .created_at = NOW,
                                  .expires_at = NOW + 1000,
                                  .grant_id = g.id};
    struct oauth_pair p = access_of("a1", NOW + 3), again = access_of("a2", NOW + 4);
    OK(f, oauth_devices_insert(f->db, f->a, &d, &f->e));
    struct oauth_device twin = d;
    twin.hash = STR("other");
    FAILS(f, ERR_CONFLICT, oauth_devices_insert(f->db, f->a, &twin, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_devices_by_user_code(f->db, f->a, STR("code"), NOW + 1001, &got, &f->e));
    OK(f, oauth_devices_by_user_code(f->db, f->a, STR("code"), NOW + 1, &got, &f->e));
    d.decision = STR("allowed");
    d.org_id = g.org_id;
    d.user_id = g.user_id;
    d.resource = d.granted_scope = STR("hub");
    OK(f, oauth_devices_decide(f->db, f->a, &d, NOW + 2, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_devices_decide(f->db, f->a, &d, NOW + 2, &f->e));
    OK(f, oauth_devices_get(f->db, f->a, STR("device"), &got, &f->e));
    assert_true(str_eq(got.user_id, g.user_id));
    p.refresh_hash = STR("r1");
    again.refresh_hash = STR("r2");
    p.refresh_expires_at = again.refresh_expires_at = NOW + 5000;
    OK(f, oauth_devices_redeem(f->db, f->a, &got, &p, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_devices_redeem(f->db, f->a, &got, &again, &f->e));
}

static void a_device_is_decided_once_and_redeemed_once(void **state)
{
    (void)state;
    with_store(devices);
}

/* ---- signing keys ---- */

static void succession(struct fixture *f)
{
    struct signing_key *keys, k = {.kid = STR("one"),
                                   .alg = STR("ES256"),
                                   .sealed = STR("s"),
                                   .created_at = NOW,
                                   .active_at = NOW};
    struct signing_key next = k, late = k;
    size_t n;
    next.kid = STR("two");
    next.created_at = next.active_at = NOW + 10;
    late.kid = STR("three");
    OK(f, signing_keys_insert_first(f->db, f->a, &k, &f->e));
    OK(f, signing_keys_succeed(f->db, f->a, &next, k.kid, NOW + 100, &f->e));
    FAILS(f, ERR_NOT_FOUND, signing_keys_succeed(f->db, f->a, &late, k.kid, NOW + 200, &f->e));
    OK(f, signing_keys_list(f->db, f->a, NOW + 50, &keys, &n, &f->e));
    assert_int_equal(n, 2);
    assert_true(str_eq(keys[0].kid, next.kid) && keys[0].expires_at == 0);
    OK(f, signing_keys_list(f->db, f->a, NOW + 101, &keys, &n, &f->e));
    assert_int_equal(n, 1);
}

static void of_two_successors_of_a_key_one_wins(void **state)
{
    (void)state;
    with_store(succession);
}

/* ---- authorizations elsewhere ---- */

static void leases(struct fixture *f)
{
    struct str user = make_user(f, "owner@acme.example"), org = make_org(f, "acme", user);
    struct connection conn = connection_of(f, org, "search", NOW);
    OK(f, connections_insert(f->db, f->a, &conn, NULL, &f->e));
    struct downstream_token got, t = {.connection_id = conn.id,
                                      .user_id = STR(""),
                                      .issuer = STR("https://as.example"),
                                      .scope = STR("read"),
                                      .sealed = STR("s1"),
                                      .expires_at = NOW + 100,
                                      .generation = 1,
                                      .authorized_by = user,
                                      .authorized_at = NOW,
                                      .updated_at = NOW};
    const struct downstream_lease a = {STR("a"), NOW, NOW + 20}, b = {STR("b"), NOW, NOW + 20},
                                  later = {STR("c"), NOW + 21, NOW + 40};
    bool is_ours;
    OK(f, downstream_tokens_put(f->db, f->a, org, &t, &f->e));
    OK(f, downstream_tokens_lease(f->db, f->a, org, &t, &a, &is_ours, &f->e));
    assert_true(is_ours);
    OK(f, downstream_tokens_lease(f->db, f->a, org, &t, &b, &is_ours, &f->e));
    assert_false(is_ours);
    OK(f, downstream_tokens_lease(f->db, f->a, org, &t, &later, &is_ours, &f->e));
    assert_true(is_ours);
    t.sealed = STR("s2");
    FAILS(f, ERR_CONFLICT, downstream_tokens_renew(f->db, f->a, org, &t, a.id, &f->e));
    OK(f, downstream_tokens_renew(f->db, f->a, org, &t, later.id, &f->e));
    OK(f, downstream_tokens_get(f->db, f->a, org, conn.id, STR(""), &got, &f->e));
    assert_true(str_eq(got.sealed, STR("s2")) && got.generation == 2);
    FAILS(f, ERR_NOT_FOUND,
          downstream_tokens_get(f->db, f->a, STR("org_other"), conn.id, STR(""), &got, &f->e));
}

static void one_of_all_renews_a_token(void **state)
{
    (void)state;
    with_store(leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revoked_grant_stands_again_without_its_old_tokens),
        cmocka_unit_test(a_client_goes_when_nobody_has_used_it_since),
        cmocka_unit_test(an_assertion_is_used_once),
        cmocka_unit_test(a_device_is_decided_once_and_redeemed_once),
        cmocka_unit_test(of_two_successors_of_a_key_one_wins),
        cmocka_unit_test(one_of_all_renews_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
