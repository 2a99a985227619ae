/* Authorizations at other servers: what is kept of them, and how challenges are read. */
#include "unit/tenant_fixture.h"

#include "auth/downstream/discover.h"
#include "store/downstream_tokens.h"

static struct downstream_token token_of(const struct tenant *t, struct str user_id)
{
    return (struct downstream_token){.connection_id = t->conn,
                                     .user_id = user_id,
                                     .issuer = STR("https://as.example"),
                                     .scope = STR("read"),
                                     .sealed = STR("v1.first"),
                                     .expires_at = NOW + 3600,
                                     .generation = 7,
                                     .authorized_by = t->owner,
                                     .authorized_at = NOW,
                                     .updated_at = NOW};
}

static bool lease(struct fixture *f, struct str org_id, const struct downstream_token *t,
                  struct str id, int64_t now, int64_t until, bool *is_ours)
{
    const struct downstream_lease l = {id, now, until};
    return downstream_tokens_lease(f->db, f->a, org_id, t, &l, is_ours, &f->e);
}

static void lease_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct downstream_token one = token_of(&t, STR("")), got;
    bool is_ours;
    OK(f, downstream_tokens_put(f->db, f->a, t.org, &one, &f->e));
    OK(f, lease(f, other.org, &one, STR("x"), NOW, NOW + 100, &is_ours));
    assert_false(is_ours);
    OK(f, lease(f, t.org, &one, STR("l1"), NOW, NOW + 100, &is_ours));
    assert_true(is_ours);
    OK(f, lease(f, t.org, &one, STR("l2"), NOW + 99, NOW + 200, &is_ours));
    assert_false(is_ours);
    /* Whoever died with it is followed by another, and is too late when it was not dead. */
    OK(f, lease(f, t.org, &one, STR("l2"), NOW + 100, NOW + 200, &is_ours));
    assert_true(is_ours);
    one.sealed = STR("v1.second");
    FAILS(f, ERR_CONFLICT, downstream_tokens_renew(f->db, f->a, t.org, &one, STR("l1"), &f->e));
    OK(f, downstream_tokens_get(f->db, f->a, t.org, t.conn, STR(""), &got, &f->e));
    assert_str(got.sealed, "v1.first");
    assert_true(got.is_leased);
    OK(f, downstream_tokens_renew(f->db, f->a, t.org, &one, STR("l2"), &f->e));
    OK(f, downstream_tokens_get(f->db, f->a, t.org, t.conn, STR(""), &got, &f->e));
    assert_str(got.sealed, "v1.second");
    assert_true(got.generation == 8 && !got.is_leased && got.lease_until == 0);
    /* The generation before is nobody's to refresh any more. */
    OK(f, lease(f, t.org, &one, STR("l3"), NOW + 500, NOW + 600, &is_ours));
    assert_false(is_ours);
}

static void a_refresh_is_one_fiber_s_until_its_lease_ends(unused_arg void **state)
{
    with_store(lease_body);
}

static void failure_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct downstream_token one = token_of(&t, t.owner), got;
    bool is_ours;
    OK(f, downstream_tokens_put(f->db, f->a, t.org, &one, &f->e));
    OK(f, lease(f, t.org, &one, STR("l1"), NOW, NOW + 100, &is_ours));
    OK(f, downstream_tokens_fail(f->db, f->a, t.org, &one, STR("l1"), NOW + 50, STR_NONE, &f->e));
    OK(f, downstream_tokens_get(f->db, f->a, t.org, t.conn, t.owner, &got, &f->e));
    assert_true(!got.is_leased && got.lease_until == NOW + 50 && str_is_absent(got.failure));
    OK(f, lease(f, t.org, &one, STR("l2"), NOW + 49, NOW + 100, &is_ours));
    assert_false(is_ours);
    OK(f, lease(f, t.org, &one, STR("l2"), NOW + 50, NOW + 100, &is_ours));
    assert_true(is_ours);
    OK(f, downstream_tokens_fail(f->db, f->a, t.org, &one, STR("l2"), 0, STR("ended"), &f->e));
    OK(f, lease(f, t.org, &one, STR("l3"), NOW + 900, NOW + 999, &is_ours));
    assert_false(is_ours);
    /* A person authorizes anew, at another issuer: nothing of the old one is left. */
    struct downstream_token next = one;
    next.issuer = STR("https://other.example");
    next.authorized_at = NOW + 1000;
    OK(f, downstream_tokens_put(f->db, f->a, t.org, &next, &f->e));
    struct downstream_token *all;
    size_t n;
    OK(f, downstream_tokens_of(f->db, f->a, t.org, t.conn, &all, &n, &f->e));
    assert_int_equal(n, 1);
    assert_str(all[0].issuer, "https://other.example");
    assert_true(str_is_absent(all[0].failure));
}

static void a_failed_refresh_pauses_or_ends_the_authorization(unused_arg void **state)
{
    with_store(failure_body);
}

static void owners_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct str second = make_user(f, "second@team.example");
    OK(f, members_add(f->db, f->a, t.org, second, STR("member"), NOW, &f->e));
    struct downstream_token shared = token_of(&t, STR("")), own = token_of(&t, second), got, *list;
    size_t n;
    bool was_there;
    OK(f, downstream_tokens_put(f->db, f->a, t.org, &shared, &f->e));
    OK(f, downstream_tokens_put(f->db, f->a, t.org, &own, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          downstream_tokens_get(f->db, f->a, other.org, t.conn, second, &got, &f->e));
    OK(f, downstream_tokens_list(f->db, f->a, t.org, second, &list, &n, &f->e));
    assert_int_equal(n, 1);
    OK(f, downstream_tokens_delete(f->db, f->a, other.org, t.conn, second, &was_there, &f->e));
    assert_false(was_there);
    /* What a person authorized goes with their membership, the organization's stays. */
    OK(f, members_remove(f->db, f->a, t.org, second, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, downstream_tokens_get(f->db, f->a, t.org, t.conn, second, &got, &f->e));
    OK(f, downstream_tokens_get(f->db, f->a, t.org, t.conn, STR(""), &got, &f->e));
    OK(f, connections_delete(f->db, f->a, t.org, t.conn, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          downstream_tokens_get(f->db, f->a, t.org, t.conn, STR(""), &got, &f->e));
}

static void tokens_belong_to_an_owner_of_one_organization(unused_arg void **state)
{
    with_store(owners_body);
}

static void request_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct downstream_request r = {.hash = STR("h1"),
                                   .org_id = t.org,
                                   .connection_id = t.conn,
                                   .user_id = STR(""),
                                   .person_id = t.owner,
                                   .session_id = STR("ses_1"),
                                   .issuer = STR("https://as.example"),
                                   .sealed = STR("v1.x"),
                                   .expires_at = NOW + 100},
                              got;
    OK(f, downstream_requests_put(f->db, f->a, &r, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          downstream_requests_take(f->db, f->a, r.hash, STR("ses_2"), NOW, &got, &f->e));
    OK(f, downstream_requests_take(f->db, f->a, r.hash, r.session_id, NOW + 99, &got, &f->e));
    assert_str(got.issuer, "https://as.example");
    FAILS(f, ERR_NOT_FOUND,
          downstream_requests_take(f->db, f->a, r.hash, r.session_id, NOW, &got, &f->e));
    OK(f, downstream_requests_put(f->db, f->a, &r, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          downstream_requests_take(f->db, f->a, r.hash, r.session_id, NOW + 100, &got, &f->e));
    struct downstream_client c = {.connection_id = t.conn,
                                  .issuer = r.issuer,
                                  .redirect_uri = STR("http://localhost/cb"),
                                  .sealed = STR("v1.c"),
                                  .created_at = NOW},
                             kept;
    OK(f, downstream_clients_put(f->db, f->a, t.org, &c, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          downstream_clients_get(f->db, f->a, t.org, t.conn, STR("https://as.example/"), &kept,
                                 &f->e));
    OK(f, downstream_clients_get(f->db, f->a, t.org, t.conn, r.issuer, &kept, &f->e));
    OK(f, downstream_clients_delete(f->db, f->a, t.org, t.conn, r.issuer, &f->e));
}

static void what_was_begun_is_taken_once_in_its_browser_and_in_time(unused_arg void **state)
{
    with_store(request_body);
}

static void challenges_are_read(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct downstream_challenge c;
    assert_true(downstream_challenge_read(
        a, STR("Bearer realm=\"x, y\", resource_metadata=\"https://h/\\\"q\", scope=\"a b\""), &c));
    assert_str(c.resource_metadata, "https://h/\"q");
    assert_str(c.scope, "a b");
    assert_true(downstream_challenge_read(
        a, STR("Basic realm=\"Bearer scope=z\", bearer error=insufficient_scope , scope = \"w\""),
        &c));
    assert_str(c.error, "insufficient_scope");
    assert_str(c.scope, "w");
    assert_true(downstream_challenge_read(a, STR("Bearer scope=one, Digest scope=two"), &c));
    assert_str(c.scope, "one");
    assert_true(downstream_challenge_read(a, STR("Bearer"), &c));
    assert_true(str_is_absent(c.scope));
    assert_false(downstream_challenge_read(a, STR("Basic realm=\"x\""), &c));
    assert_false(downstream_challenge_read(a, STR(""), &c));
    assert_true(downstream_challenge_read(a, STR("Bearer scope=\"unended"), &c));
    assert_true(str_is_absent(c.scope));
    arena_end(a);
}

static void challenges_for_bound_tokens_are_read(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct downstream_challenge c;
    assert_true(downstream_challenge_read(
        a,
        STR("Bearer scope=\"one\", error=\"invalid_token\", Negotiate, DPoP algs=\"ES256 PS256\", "
            "error=\"use_dpop_nonce\", scope=\"two\""),
        &c));
    assert_true(c.has_dpop);
    assert_str(c.scope, "one");
    assert_str(c.error, "invalid_token");
    assert_str(c.dpop_error, "use_dpop_nonce");
    assert_str(c.dpop_algs, "ES256 PS256");
    assert_true(downstream_challenge_read(a, STR("dpop resource_metadata=\"https://h/\""), &c));
    assert_true(c.has_dpop && str_is_absent(c.dpop_algs) && str_is_absent(c.dpop_error));
    assert_str(c.resource_metadata, "https://h/");
    assert_true(downstream_challenge_read(a, STR("Bearer realm=\"DPoP error=x\", scope=DPoP"), &c));
    assert_false(c.has_dpop);
    const struct http_header lines[] = {{STR("www-authenticate"), STR("Basic realm=x")},
                                        {STR("WWW-Authenticate"), STR("Bearer scope=\"one\"")},
                                        {STR("DPoP-Nonce"), STR("n")},
                                        {STR("WWW-Authenticate"), STR("DPoP algs=\"ES256\"")}};
    const struct http_answer_head head = {401, lines, ARRAY_LEN(lines)}, none = {401, lines, 1};
    assert_true(downstream_challenge_of(a, &head, &c));
    assert_true(c.has_dpop);
    assert_str(c.scope, "one");
    assert_str(c.dpop_algs, "ES256");
    assert_false(downstream_challenge_of(a, &none, &c));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refresh_is_one_fiber_s_until_its_lease_ends),
        cmocka_unit_test(a_failed_refresh_pauses_or_ends_the_authorization),
        cmocka_unit_test(tokens_belong_to_an_owner_of_one_organization),
        cmocka_unit_test(what_was_begun_is_taken_once_in_its_browser_and_in_time),
        cmocka_unit_test(challenges_are_read),
        cmocka_unit_test(challenges_for_bound_tokens_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
