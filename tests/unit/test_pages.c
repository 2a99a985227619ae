/* Templates: escaping, sections, rows; what every page carries. */
#include "unit/page_rig.h"

#include "auth/page_files.h"
#include "auth/pages.h"
#include "base/limits.h"

static struct buf out;

static struct str rendered(const char *name, const struct page_value *values)
{
    buf_end(&out);
    buf_init(&out, LIMIT_PAGE_BYTES);
    page_render(&out, name, values);
    assert_true(buf_ok(&out));
    return buf_str(&out);
}

static bool has(struct str page, const char *what)
{
    return str_find(page, str_c(what)) != SIZE_MAX;
}

static void values_are_escaped_in_text_and_attributes(unused_arg void **state)
{
    const struct page_value values[] = {
        {.name = "error", .text = STR("<script>alert(1)</script> & more")},
        {.name = "email", .text = STR("\"onfocus='x'>")},
        {.name = NULL}};
    struct str page = rendered("login", values);
    assert_true(has(page, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more"));
    assert_true(has(page, "value=\"&quot;onfocus=&#39;x&#39;&gt;\""));
    assert_false(has(page, "<script>"));
}

static void a_value_with_tags_of_its_own_is_plain_text(unused_arg void **state)
{
    const struct page_value values[] = {{.name = "error", .text = STR("{{csrf_token}}")},
                                        {.name = "csrf_token", .text = STR("sesame")},
                                        {.name = NULL}};
    struct str page = rendered("login", values);
    assert_true(has(page, "{{csrf_token}}"));
    assert_true(has(page, "value=\"sesame\""));
}

static void sections_show_what_is_there(unused_arg void **state)
{
    const struct page_value none[] = {{.name = NULL}};
    assert_false(has(rendered("login", none), "problem"));
    const struct page_value password[] = {{.name = "is_password", .text = STR("1")},
                                          {.name = NULL}};
    assert_true(has(rendered("invite", password), "Choose a password"));
    assert_false(has(rendered("invite", password), "Join"));
    assert_true(has(rendered("invite", none), "Join"));
}

static void rows_repeat_and_see_the_values_around_them(unused_arg void **state)
{
    const struct page_value first[] = {{.name = "session_agent", .text = STR("<One>")},
                                       {.name = "is_current", .text = STR("1")},
                                       {.name = NULL}};
    const struct page_value second[] = {{.name = "session_agent", .text = STR("Another browser")},
                                        {.name = "session_id", .text = STR("ses_2")},
                                        {.name = NULL}};
    const struct page_row rows[] = {{first}, {second}};
    const struct page_value values[] = {{.name = "sessions", .rows = rows, .n_rows = 2},
                                        {.name = "csrf_token", .text = STR("tok")},
                                        {.name = NULL}};
    struct str page = rendered("account", values);
    size_t one = str_find(page, STR("&lt;One&gt;")), two = str_find(page, STR("Another browser"));
    assert_true(one != SIZE_MAX && two != SIZE_MAX && one < two);
    assert_true(has(page, "value=\"ses_2\""));
    assert_true(has(str_slice(page, two, SIZE_MAX), "value=\"tok\""));
}

static void every_template_renders_with_nothing_given(unused_arg void **state)
{
    const struct page_value none[] = {{.name = NULL}};
    for (size_t i = 0; i < n_page_files; i++) {
        if (str_eq(str_c(page_files[i].name), STR("layout")))
            continue;
        struct str page = rendered(page_files[i].name, none);
        assert_true(str_ends(str_trim(page), STR("</html>")));
        assert_false(has(page, "{{") || has(page, "@style") || has(page, "@passkey"));
        /* Programs that show mail know no style sheets of ours. */
        assert_true(str_eq(str_c(page_files[i].name), STR("mail")) || !has(page, "style=\""));
        /* Scripts are files of our own, never text of the page. */
        size_t at;
        while ((at = str_find(page, STR("<script"))) != SIZE_MAX) {
            page = str_slice(page, at + strlen("<script"), SIZE_MAX);
            assert_true(str_starts(page, STR(" src=\"/assets/passkey.")));
        }
    }
}

static struct str header(const struct rig *r, struct str name)
{
    return http_header_get(r->set, r->n_set, name);
}

static void page_carries(const char *name, struct str form_action, const char *expected)
{
    struct rig r;
    struct arena *a = arena_new(4 * 1024 * 1024);
    const struct page_value none[] = {{.name = NULL}};
    rig_begin(&r, a, NULL);
    page_answer(&r.rq, 200, name, none, form_action);
    assert_int_equal(r.status, 200);
    struct str csp = header(&r, STR("Content-Security-Policy"));
    assert_true(str_starts(csp, STR("default-src 'none'; style-src 'self'; img-src 'self'; ")));
    assert_true(has(csp, expected));
    assert_true(has(csp, "; frame-ancestors 'none'; base-uri 'none'"));
    assert_str(header(&r, STR("X-Frame-Options")), "DENY");
    assert_str(header(&r, STR("Cache-Control")), "no-store");
    assert_str(header(&r, STR("X-Content-Type-Options")), "nosniff");
    rig_end(&r);
    arena_end(a);
}

static void answer_carries(struct str form_action, const char *expected)
{
    page_carries("logout", form_action, expected);
}

static void only_pages_with_a_script_may_run_one(unused_arg void **state)
{
    page_carries("logout", STR_NONE, "img-src 'self'; form-action 'self';");
    page_carries("login", STR_NONE,
                 "img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self';");
}

static void a_page_is_strict_about_scripts_frames_and_forms(unused_arg void **state)
{
    answer_carries(STR_NONE, "form-action 'self';");
    answer_carries(STR("https://client.example"), "form-action 'self' https://client.example;");
    answer_carries(STR("cursor:"), "form-action 'self' cursor:;");
}

static void a_form_action_cannot_write_its_own_policy(unused_arg void **state)
{
    answer_carries(STR("https://x; script-src *"), "form-action 'self';");
    answer_carries(STR("'unsafe-inline'"), "form-action 'self';");
    answer_carries(STR("https://x\r\nX: y"), "form-action 'self';");
}

static void an_error_page_has_the_status_and_no_markup_of_the_message(unused_arg void **state)
{
    struct rig r;
    struct arena *a = arena_new(4 * 1024 * 1024);
    struct err e;
    rig_begin(&r, a, NULL);
    err_set(&e, ERR_NOT_FOUND, "no <b>such</b> link");
    page_error(&r.rq, &e);
    assert_int_equal(r.status, 404);
    assert_true(has(r.body, "no &lt;b&gt;such&lt;/b&gt; link"));
    rig_end(&r);
    arena_end(a);
}

static void assets_are_found_by_their_full_name_only(unused_arg void **state)
{
    struct arena *a = arena_new(4 * 1024 * 1024);
    struct rig r;
    assert_true(n_page_assets >= 1);
    rig_begin(&r, a, NULL);
    r.rq.params[0] = str_c(page_assets[0].name);
    page_asset(&r.rq);
    assert_int_equal(r.status, 200);
    assert_true(str_eq(r.body, page_assets[0].bytes));
    rig_end(&r);
    rig_begin(&r, a, NULL);
    r.rq.params[0] = STR("style.css");
    page_asset(&r.rq);
    assert_int_equal(r.status, 404);
    rig_end(&r);
    arena_end(a);
}

static int buffer_end(unused_arg void **state)
{
    buf_end(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped_in_text_and_attributes),
        cmocka_unit_test(a_value_with_tags_of_its_own_is_plain_text),
        cmocka_unit_test(sections_show_what_is_there),
        cmocka_unit_test(rows_repeat_and_see_the_values_around_them),
        cmocka_unit_test(every_template_renders_with_nothing_given),
        cmocka_unit_test(a_page_is_strict_about_scripts_frames_and_forms),
        cmocka_unit_test(only_pages_with_a_script_may_run_one),
        cmocka_unit_test(a_form_action_cannot_write_its_own_policy),
        cmocka_unit_test(an_error_page_has_the_status_and_no_markup_of_the_message),
        cmocka_unit_test(assets_are_found_by_their_full_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, buffer_end);
}
