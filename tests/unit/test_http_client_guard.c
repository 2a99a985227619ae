/* The outgoing client between guard and proxy. */
#include "unit/http_client_fixture.h"

/* ---- the guard ---- */

static void refused_by_guard(void)
{
    struct http_call call = get("/ok");
    int64_t before = metric_value(M_EGRESS_REFUSED);
    assert_err(fetch_err(&call), ERR_EGRESS, "to EGRESS_ALLOW");
    /* A harmless name: the address is judged when it is known. */
    call.url = url_at("inner.test", "/ok");
    char line[64];
    snprintf(line, sizeof line, "add inner.test:%d to EGRESS_ALLOW", fx.server->port);
    assert_err(fetch_err(&call), ERR_EGRESS, line);
    assert_int_equal(metric_value(M_EGRESS_REFUSED), before + 2);

    call.is_operator_destination = true;
    struct http_fetched got;
    fetch_ok(&call, &got);
    /* Its connection serves nobody who has to pass the guard. */
    call.is_operator_destination = false;
    assert_err(fetch_err(&call), ERR_EGRESS, line);
    assert_int_equal(fx.server->connections, 1);
}

static void the_guard_judges_the_address_connected_to(void **state)
{
    (void)state;
    run_with(&(struct setup){
        .egress_allow = "10.0.0.0/8", .no_loopback = true, .test = refused_by_guard});
}

static void rebinding(void)
{
    struct http_call call = get("/once");
    call.url = url_at("rebind.test", "/once");
    struct http_fetched got;
    rebind_lookups = 0;
    fetch_ok(&call, &got);
    /* A client of its own: curl remembers names for a minute. */
    struct err e;
    struct http_client *second =
        http_client_new(fiber_loop(), &(struct http_client_config){.guard = fx.guard}, &e);
    assert_false(http_fetch(second, fx.arena, &call, 1000, &got, &e));
    assert_err(e, ERR_EGRESS, "add rebind.test:");
    assert_int_equal(rebind_lookups, 2);
    assert_int_equal(fx.server->connections, 1);
    http_client_free(second);
}

static void a_name_that_moves_to_a_private_address_is_refused_row_134(void **state)
{
    (void)state;
    run_with(
        &(struct setup){.egress_allow = "127.0.0.2/32", .no_loopback = true, .test = rebinding});
}

/* ---- the proxy ---- */

static void proxied(void)
{
    struct http_call call = get("/ok");
    call.url = url_at("inner.test", "/ok");
    struct http_fetched got;
    fetch_ok(&call, &got);
    assert_str(got.body, "{\"ok\":true}");
    char target[64];
    snprintf(target, sizeof target, "127.0.0.1:%d", fx.server->port);
    assert_string_equal(fx.server->tunnel, target);
    assert_non_null(strstr(fx.server->last, "Host: inner.test:"));
    assert_true(
        str_is_absent(http_header_get(got.head.headers, got.head.n_headers, STR("X-Proxy"))));
    fetch_ok(&call, &got);
    assert_int_equal(fx.server->connections, 1);

    call.url = url_at("tunnel-refused.test", "/ok");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "proxy refused the connection with status 403");
    call.url = url_at("unknown.test", "/ok");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "does not resolve");

    fx.server->tunnel[0] = 0;
    call.url = url_at("127.0.0.1", "/ok");
    fetch_ok(&call, &got);
    call.url = url_at("rebind.test", "/ok");
    rebind_lookups = 0;
    fetch_ok(&call, &got);
    assert_string_equal(fx.server->tunnel, "");
}

static void a_proxy_is_told_the_judged_address(void **state)
{
    (void)state;
    run_with(&(struct setup){.egress_allow = "127.0.0.0/8",
                             .use_proxy = true,
                             .no_proxy = "other.test, .rebind.test",
                             .test = proxied});
}

static void proxied_refusal(void)
{
    struct http_call call = get("/ok");
    call.url = url_at("inner.test", "/ok");
    assert_err(fetch_err(&call), ERR_EGRESS, "add inner.test:");
    assert_int_equal(fx.server->connections, 0);
}

static void the_guard_stands_before_the_proxy(void **state)
{
    (void)state;
    run_with(&(struct setup){.egress_allow = "10.0.0.0/8",
                             .no_loopback = true,
                             .use_proxy = true,
                             .test = proxied_refusal});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guard_judges_the_address_connected_to),
        cmocka_unit_test(a_name_that_moves_to_a_private_address_is_refused_row_134),
        cmocka_unit_test(a_proxy_is_told_the_judged_address),
        cmocka_unit_test(the_guard_stands_before_the_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
