// The person's way to a downstream authorization server and back.
import assert from 'node:assert/strict';
import { Browser, onward } from './browser.mjs';

/** Where the Connect button of a connection sends the browser: the authorization server's address. */
export async function begin(browser, connection, org, { scope } = {}) {
    const query = new URLSearchParams({ organization_id: org.org_id, ...(scope && { scope }) });
    await browser.open(`/oauth/connect/${connection.id}?${query}`);
    const { fields } = browser.page.form(`/oauth/connect/${connection.id}`);
    const page = await browser.request(`/oauth/connect/${connection.id}`, { method: 'POST', body: new URLSearchParams(fields).toString() });
    browser.page = page;
    return onward(page);
}

/** Follows an authorization server's own pages until it sends the browser to Tulle: that address. */
export async function authorizeAt(url, home) {
    const there = new Browser(new URL(url).origin);
    let at = new URL(url);
    for (let i = 0; i < 12; i++) {
        const page = await there.request(at.pathname + at.search);
        const next = onward(page);
        assert.ok(next, `the authorization server stays at ${at}: ${page.status} ${page.html.slice(0, 400)}`);
        at = new URL(next, at);
        if (at.origin === home) return at;
    }
    return assert.fail('too many redirects: ' + at.href);
}

/** The callback, in the person's browser: the page that it ends at. */
export async function arriveBack(browser, url) {
    return browser.follow(await browser.request(url.pathname + url.search));
}

/** All of it; the last page. */
export async function connectBy(browser, connection, org, options) {
    const url = await begin(browser, connection, org, options);
    assert.ok(url, `Connect leads nowhere: ${browser.page.status} ${browser.page.text}`);
    const page = await arriveBack(browser, await authorizeAt(url, browser.origin));
    assert.equal(page.status, 200, page.html);
    return page;
}
