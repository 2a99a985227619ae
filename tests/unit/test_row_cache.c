/* What a worker remembers of the store: until something changes, for who asks the same. */
#include "unit/tenant_fixture.h"

#include "base/limits.h"
#include "core/row_cache.h"
#include "store/org_policies.h"

struct counted {
    int n_loads;
    bool may_keep, fails;
    struct fixture *f; /* changes something while it loads */
    struct str org_id;
};

static void *count(struct services *sv unused_arg, struct row *row, void *arg, struct err *e)
{
    struct counted *c = arg;
    int *value = arena_alloc(row->keep, sizeof(*value));
    assert_non_null(value);
    *value = ++c->n_loads;
    row->may_keep = c->may_keep;
    if (c->f)
        OK(c->f,
           org_policies_put(c->f->db, c->f->a, c->org_id, STR_NONE, STR("{}"), NOW, &c->f->e));
    if (!c->fails)
        return value;
    err_set(e, ERR_NOT_FOUND, "not found");
    return NULL;
}

static int ask(struct fixture *f, struct services *sv, struct arena *a, struct str key,
               struct counted *c)
{
    const struct row_ask asked = {STR("thing"), key, count, c};
    const int *value = row_cache_get(sv->rows, sv, a, &asked, &f->e);
    assert_non_null(value);
    return *value;
}

static void remembered(struct fixture *f)
{
    struct services sv = {.db = f->db, .rows = row_cache_new()};
    struct counted c = {.may_keep = true};
    struct str org = make_org(f, "acme", make_user(f, "a@acme.example"));
    assert_non_null(sv.rows);
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 1);
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 1);
    assert_int_equal(ask(f, &sv, f->a, STR("two"), &c), 2);
    OK(f, org_policies_put(f->db, f->a, org, STR_NONE, STR("{}"), NOW, &f->e));
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 3);
    c.may_keep = false;
    assert_int_equal(ask(f, &sv, f->a, STR("three"), &c), 4);
    assert_int_equal(ask(f, &sv, f->a, STR("three"), &c), 5);
    row_cache_free(sv.rows);
    sv.rows = NULL;
    c.may_keep = true;
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 6);
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 7);
}
static void a_value_is_made_once_until_something_changes(void **state unused_arg)
{
    with_store(remembered);
}

static void changed_meanwhile(struct fixture *f)
{
    struct services sv = {.db = f->db, .rows = row_cache_new()};
    struct str org = make_org(f, "acme", make_user(f, "a@acme.example"));
    struct counted c = {.may_keep = true, .f = f, .org_id = org};
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 1);
    c.f = NULL;
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 2);
    row_cache_free(sv.rows);
}
static void what_changed_while_it_was_read_is_not_remembered(void **state unused_arg)
{
    with_store(changed_meanwhile);
}

static void failures(struct fixture *f)
{
    struct services sv = {.db = f->db, .rows = row_cache_new()};
    struct counted c = {.may_keep = true, .fails = true};
    const struct row_ask asked = {STR("thing"), STR("one"), count, &c};
    assert_null(row_cache_get(sv.rows, &sv, f->a, &asked, &f->e));
    assert_int_equal(f->e.code, ERR_NOT_FOUND);
    c.fails = false;
    assert_int_equal(ask(f, &sv, f->a, STR("one"), &c), 2);
    row_cache_free(sv.rows);
}
static void a_failure_is_not_remembered(void **state unused_arg)
{
    with_store(failures);
}

static void bounded(struct fixture *f)
{
    struct services sv = {.db = f->db, .rows = row_cache_new()};
    struct counted c = {.may_keep = true};
    struct arena *held = arena_new((size_t)1024 * 1024);
    assert_int_equal(ask(f, &sv, held, STR("held"), &c), 1);
    const struct row_ask again = {STR("thing"), STR("held"), count, &c};
    const int *value = row_cache_get(sv.rows, &sv, held, &again, &f->e);
    for (int i = 0; i < LIMIT_CACHE_ENTRIES; i++) {
        char key[16];
        struct arena *a = arena_new((size_t)64 * 1024);
        snprintf(key, sizeof key, "%d", i);
        (void)ask(f, &sv, a, str_c(key), &c);
        arena_end(a);
    }
    assert_int_equal(*value, 1); /* whoever holds it has it still */
    assert_int_not_equal(ask(f, &sv, f->a, STR("held"), &c), 1);
    arena_end(held);
    row_cache_free(sv.rows);
}
static void it_has_an_end_and_takes_nothing_from_who_uses_it(void **state unused_arg)
{
    with_store(bounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_made_once_until_something_changes),
        cmocka_unit_test(what_changed_while_it_was_read_is_not_remembered),
        cmocka_unit_test(a_failure_is_not_remembered),
        cmocka_unit_test(it_has_an_end_and_takes_nothing_from_who_uses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
