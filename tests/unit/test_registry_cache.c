/* What a worker remembers of the registry. */
#include "mcp/registry_cache.h"

#include "unit/registry_fixture.h"

static struct connection_tool defined(const char *hash, const char *definition)
{
    return (struct connection_tool){
        .name = STR("find"), .hash = str_c(hash), .definition = str_c(definition)};
}

static void is_defined(struct world *w, struct registry_entry *entry, const char *definition)
{
    struct str found = registry_definition(&w->sv, w->a, entry, STR("find"));
    assert_true(str_eq(found, str_c(definition)));
}

WORLD_TEST(a_called_tools_definition_is_read_once_and_again_when_it_changed)
{
    struct str id = connection_make(w, "srv");
    struct registry_entry *entry;
    struct connection_tool first = defined("h1", "{\"v\":1}"), second = defined("h2", "{\"v\":2}");
    OK(w->f, registry_get(&w->sv, w->a, w->org, id, &entry, &w->f->e));
    assert_true(str_is_absent(registry_definition(&w->sv, w->a, entry, STR("find"))));
    OK(w->f, connection_tools_record(w->sv.db, w->a, w->org, id, &first, 1, 1, &w->f->e));
    is_defined(w, entry, "{\"v\":1}");
    /* Nobody told this worker: it does not look. */
    OK(w->f, connection_tools_record(w->sv.db, w->a, w->org, id, &second, 1, 2, &w->f->e));
    is_defined(w, entry, "{\"v\":1}");
    registry_tools_note(entry, &second, 1);
    is_defined(w, entry, "{\"v\":2}");
    OK(w->f, connection_tools_record(w->sv.db, w->a, w->org, id, &first, 1, 3, &w->f->e));
    registry_definition_forget(entry, STR("find"));
    is_defined(w, entry, "{\"v\":1}");
}

WORLD_TEST(what_is_kept_is_bounded)
{
    struct str id = connection_make(w, "srv");
    struct registry_entry *entry;
    char *large = calloc(1, LIMIT_DEFINITIONS_KEPT / 2 + 1);
    assert_non_null(large);
    memset(large, ' ', LIMIT_DEFINITIONS_KEPT / 2);
    OK(w->f, registry_get(&w->sv, w->a, w->org, id, &entry, &w->f->e));
    for (int i = 0; i < 5; i++) {
        struct connection_tool tool = defined("h", large);
        tool.name = arena_printf(w->a, "tool_%d", i);
        OK(w->f, connection_tools_record(w->sv.db, w->a, w->org, id, &tool, 1, 1, &w->f->e));
        struct str found = registry_definition(&w->sv, w->a, entry, tool.name);
        assert_int_equal(found.n, LIMIT_DEFINITIONS_KEPT / 2);
        assert_true(entry->definitions_bytes <= LIMIT_DEFINITIONS_KEPT);
    }
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_called_tools_definition_is_read_once_and_again_when_it_changed),
        cmocka_unit_test(what_is_kept_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
