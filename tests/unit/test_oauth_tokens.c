/* Codes, families and rotation in the store, and the rule of the same answer. */
#include "unit/tenant_fixture.h"

#include "auth/oauth/issue.h"
#include "store/oauth_clients.h"
#include "store/oauth_tokens.h"

static struct oauth_client make_client(struct fixture *f, const char *fingerprint)
{
    struct oauth_client out, c = {.id = new_id(f, "cli"),
                                  .fingerprint = str_c(fingerprint),
                                  .name = STR("Program"),
                                  .redirect_uris = STR("https://a.example/cb"),
                                  .auth_method = STR("none"),
                                  .metadata = STR("{}"),
                                  .created_at = NOW};
    OK(f, oauth_clients_register(f->db, f->a, &c, &out, &f->e));
    return out;
}

static struct oauth_code make_code(struct fixture *f, const char *hash, const char *request_id)
{
    struct str user = make_user(f, arena_cstr(f->a, arena_printf(f->a, "%s@acme.example", hash)));
    struct str org = make_org(f, arena_cstr(f->a, arena_printf(f->a, "org-%s", hash)), user);
    struct oauth_code c = {.hash = str_c(hash),
                           .request_id = str_c(request_id),
                           .org_id = org,
                           .user_id = user,
                           .client_id = make_client(f, hash).id,
                           .grant_id = new_id(f, "gnt"),
                           .redirect_uri = STR("https://a.example/cb"),
                           .challenge = STR("c"),
                           .resource = STR("management"),
                           .scope = STR("mcp"),
                           .created_at = NOW,
                           .expires_at = NOW + 1000};
    OK(f, oauth_codes_insert(f->db, f->a, &c, STR("a.example"), &f->e));
    return c;
}

static struct oauth_pair pair_of(const char *access, const char *refresh, int64_t now)
{
    return (struct oauth_pair){.access_hash = str_c(access),
                               .access_scope = STR("mcp"),
                               .access_expires_at = now + 500,
                               .refresh_hash = str_c(refresh),
                               .refresh_expires_at = now + 5000,
                               .now = now};
}

static void codes(struct fixture *f)
{
    struct oauth_code c = make_code(f, "one", "req1"), again = c;
    struct oauth_pair first = pair_of("a1", "r1", NOW + 1), second = pair_of("a2", "r2", NOW + 2);
    struct oauth_access token;
    again.hash = STR("other");
    FAILS(f, ERR_CONFLICT, oauth_codes_insert(f->db, f->a, &again, STR("a.example"), &f->e));
    OK(f, oauth_tokens_redeem(f->db, f->a, &c, STR("a.example"), &first, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_tokens_redeem(f->db, f->a, &c, STR("a.example"), &second, &f->e));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 2, &token, &f->e));
    assert_true(str_eq(token.grant_id, c.grant_id));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 2, &token, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 501, &token, &f->e));
}

static void a_code_cannot_be_redeemed_twice(void **state)
{
    (void)state;
    with_store(codes);
}

static void late(struct fixture *f)
{
    struct oauth_code c = make_code(f, "one", "req1"), burnt = make_code(f, "two", "req2");
    struct oauth_pair p = pair_of("a1", "r1", NOW + 1000);
    FAILS(f, ERR_NOT_FOUND, oauth_tokens_redeem(f->db, f->a, &c, STR("h"), &p, &f->e));
    p.now = NOW + 1;
    OK(f, oauth_codes_burn(f->db, f->a, burnt.hash, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, oauth_tokens_redeem(f->db, f->a, &burnt, STR("h"), &p, &f->e));
}

static void an_expired_or_burnt_code_gives_nothing(void **state)
{
    (void)state;
    with_store(late);
}

static void family(struct fixture *f)
{
    struct oauth_code c = make_code(f, "one", "req1");
    struct oauth_pair first = pair_of("a1", "r1", NOW + 1), next = pair_of("a2", "r2", NOW + 2),
                      late_one = pair_of("a3", "r3", NOW + 3);
    struct oauth_refresh old, now;
    struct oauth_access token;
    OK(f, oauth_tokens_redeem(f->db, f->a, &c, STR("a.example"), &first, &f->e));
    OK(f, oauth_tokens_refresh_get(f->db, f->a, STR("r1"), &old, &f->e));
    assert_int_equal(old.used_at, 0);
    OK(f, oauth_tokens_rotate(f->db, f->a, &old, &next, STR("answer"), &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_rotate(f->db, f->a, &old, &late_one, STR("answer"), &f->e));
    OK(f, oauth_tokens_refresh_get(f->db, f->a, STR("r1"), &now, &f->e));
    assert_int_equal(now.used_at, NOW + 2);
    assert_true(now.has_successor && now.successor_used_at == 0 &&
                str_eq(now.answer, STR("answer")));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 3, &token, &f->e));
    OK(f, oauth_grants_end(f->db, f->a, c.grant_id, NOW + 3, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 3, &token, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 3, &token, &f->e));
    OK(f, oauth_tokens_refresh_get(f->db, f->a, STR("r2"), &old, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_rotate(f->db, f->a, &old, &late_one, STR("answer"), &f->e));
}

static void a_refresh_token_rotates_once_and_a_revoked_family_is_dead(void **state)
{
    (void)state;
    with_store(family);
}

static void same_client(struct fixture *f)
{
    struct oauth_client a = make_client(f, "same"), b = make_client(f, "same"),
                        c = make_client(f, "different");
    int64_t n;
    assert_true(str_eq(a.id, b.id));
    assert_false(str_eq(a.id, c.id));
    OK(f, oauth_clients_count_unused(f->db, f->a, &n, &f->e));
    assert_int_equal(n, 2);
    (void)make_code(f, "one", "req1"); /* its client has been consented to */
    OK(f, oauth_clients_count_unused(f->db, f->a, &n, &f->e));
    assert_int_equal(n, 2);
    OK(f, oauth_clients_purge(f->db, f->a, NOW + 1, &f->e));
    OK(f, oauth_clients_count_unused(f->db, f->a, &n, &f->e));
    assert_int_equal(n, 0);
}

static void identical_metadata_shares_a_client_and_unused_ones_make_room(void **state)
{
    (void)state;
    with_store(same_client);
}

static void tenants(struct fixture *f)
{
    struct oauth_code mine = make_code(f, "one", "req1"), theirs = make_code(f, "two", "req2");
    struct oauth_pair p = pair_of("a1", "r1", NOW + 1), q = pair_of("a2", "r2", NOW + 1);
    struct oauth_client_use use;
    struct oauth_access token;
    OK(f, oauth_tokens_redeem(f->db, f->a, &mine, STR("h"), &p, &f->e));
    OK(f, oauth_tokens_redeem(f->db, f->a, &theirs, STR("h"), &q, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_grants_revoke(f->db, f->a, mine.org_id, STR_NONE, theirs.grant_id, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_grants_revoke(f->db, f->a, mine.org_id, theirs.user_id, mine.grant_id, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_clients_use_get(f->db, f->a, mine.org_id, STR_NONE, theirs.client_id, &use, &f->e));
    OK(f, oauth_clients_forget(f->db, f->a, mine.org_id, STR_NONE, theirs.client_id, &f->e));
    OK(f, oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 1, &token, &f->e));
    OK(f,
       oauth_clients_use_get(f->db, f->a, mine.org_id, mine.user_id, mine.client_id, &use, &f->e));
    assert_int_equal(use.n_grants, 1);
    OK(f, oauth_grants_revoke(f->db, f->a, mine.org_id, STR_NONE, mine.grant_id, NOW + 2, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a1"), NOW + 2, &token, &f->e));
    OK(f, members_add(f->db, f->a, theirs.org_id, mine.user_id, STR("owner"), NOW, &f->e));
    OK(f, members_remove(f->db, f->a, theirs.org_id, theirs.user_id, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          oauth_tokens_access_get(f->db, f->a, STR("a2"), NOW + 1, &token, &f->e));
}

static void grants_end_for_their_own_organization_and_with_the_membership(void **state)
{
    (void)state;
    with_store(tenants);
}

/* ---- the same answer ---- */

static void
the_answer_is_repeated_until_the_successor_is_used_at_least_30_s_at_most_24_h(void **state)
{
    (void)state;
    const int64_t second = 1000, hour = 3600 * second;
    struct oauth_refresh t = {.used_at = NOW, .answer = STR("x"), .has_successor = true};
    assert_true(issue_may_repeat(&t, NOW));
    assert_true(issue_may_repeat(&t, NOW + 24 * hour - 1));
    assert_false(issue_may_repeat(&t, NOW + 24 * hour));
    t.successor_used_at = NOW + 1;
    assert_true(issue_may_repeat(&t, NOW + 30 * second - 1));
    assert_false(issue_may_repeat(&t, NOW + 30 * second));
    t.has_successor = false;
    t.successor_used_at = 0;
    assert_false(issue_may_repeat(&t, NOW + 31 * second));
    t.used_at = 0;
    assert_false(issue_may_repeat(&t, NOW));
}

static void the_kept_answer_opens_with_the_old_token_alone(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct err e = {0};
    struct str sealed;
    struct issued out, t = {.access = STR("tulle_at_1"),
                            .refresh = STR("tulle_rt_2"),
                            .scope = STR("mcp mcp:read"),
                            .access_expires_at = 77,
                            .request = STR("mcp|https://x/mcp")};
    assert_non_null(a);
    assert_true(issue_seal(a, STR("tulle_rt_1"), &t, &sealed, &e));
    assert_true(str_find(sealed, STR("tulle_rt_2")) == SIZE_MAX);
    assert_true(issue_open(a, STR("tulle_rt_1"), sealed, &out, &e));
    assert_true(str_eq(out.access, t.access) && str_eq(out.refresh, t.refresh) &&
                str_eq(out.scope, t.scope));
    assert_true(str_eq(out.request, t.request) && out.access_expires_at == 77);
    assert_false(issue_open(a, STR("tulle_rt_3"), sealed, &out, &e));
    assert_false(issue_open(a, STR("tulle_rt_1"), str_slice(sealed, 0, sealed.n - 4), &out, &e));
    arena_end(a);
}

static void refresh_tokens_live_30_days_idle_and_90_in_all(void **state)
{
    (void)state;
    const int64_t day = INT64_C(24) * 3600 * 1000;
    struct arena *a = arena_new(1 << 20);
    struct err e = {0};
    struct oauth_pair p;
    struct issued t;
    assert_non_null(a);
    assert_true(issue_pair(a, STR("mcp"), NOW, NOW, &p, &t, &e));
    assert_int_equal(p.refresh_expires_at, NOW + 30 * day);
    assert_true(issue_pair(a, STR("mcp"), NOW, NOW + 80 * day, &p, &t, &e));
    assert_int_equal(p.refresh_expires_at, NOW + 90 * day);
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_cannot_be_redeemed_twice),
        cmocka_unit_test(an_expired_or_burnt_code_gives_nothing),
        cmocka_unit_test(a_refresh_token_rotates_once_and_a_revoked_family_is_dead),
        cmocka_unit_test(identical_metadata_shares_a_client_and_unused_ones_make_room),
        cmocka_unit_test(grants_end_for_their_own_organization_and_with_the_membership),
        cmocka_unit_test(
            the_answer_is_repeated_until_the_successor_is_used_at_least_30_s_at_most_24_h),
        cmocka_unit_test(the_kept_answer_opens_with_the_old_token_alone),
        cmocka_unit_test(refresh_tokens_live_30_days_idle_and_90_in_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
