// A newcomer in a real browser, scripts disabled: from the printed setup link to a program that calls a tool; and what a page refuses.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { startChromium } from './lib/chromium.mjs';
import { rpc } from './lib/http.mjs';
import { makeClient, pkce, request } from './lib/oauth.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { startEverything } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, server, chromium, ada, page, origin, address, password, key;
const email = 'ada@example.test';
const sites = [];

before(async () => {
    [tulle, server, chromium] = await Promise.all([startTulle(), startEverything(), startChromium()]);
    origin = `http://localhost:${tulle.port}`;
    password = plant('the password of Ada');
    ada = await chromium.newPerson();
    page = await ada.page();
});
after(async () => {
    await chromium?.close();
    for (const site of sites) site.close();
    await tulle?.end();
});

const path = (of = page) => new URL(of.url()).pathname;
const text = (of = page) => of.locator('main').innerText();
const button = (name, of = page) => of.getByRole('button', { name, exact: true });

/** Does something that leads to another page, and waits for it. */
async function leave(of, act) {
    const arrived = of.waitForEvent('load');
    await Promise.all([arrived, act()]);
}
const press = (name, of = page) => leave(of, () => button(name, of).click());

async function signIn(of, secret = password) {
    if (await of.getByLabel('E-mail address').isVisible()) { // not after a wrong password
        await of.getByLabel('E-mail address').fill(email);
        await press('Continue', of);
    }
    await of.getByLabel('Password').fill(secret);
    await press('Sign in', of);
}

/** A web server of the test's own on localhost: what it got, and what it shows. */
async function listen(html) {
    const got = [];
    const listener = createServer((req, res) => {
        got.push(req.url);
        res.writeHead(200, { 'content-type': 'text/html' }).end(req.url === '/favicon.ico' ? '' : html);
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    sites.push(listener);
    return { got, origin: `http://localhost:${listener.address().port}` };
}

test('the setup link leads through account, organization and server to its address and recipes', async () => {
    const link = /^Set up: (\S+)$/m.exec(tulle.child.out)?.[1];
    assert.ok(link, tulle.child.out);
    await page.goto(link);
    await ada.look(page, 'setup-1-account');
    await page.getByLabel('Your name').fill('Ada Lovelace');
    await page.getByLabel('E-mail address').fill(email);
    await page.getByLabel('Password').fill(password);
    await press('Make the account');
    assert.match(await text(), /Your organization/);
    await ada.look(page, 'setup-2-organization');
    await page.getByLabel('Name').fill('Analytical Engines & Co');
    await press('Make the organization');
    assert.equal(path(), '/setup/server');
    await ada.look(page, 'setup-3-server');

    await page.getByLabel('Address of the server').fill(`${server.origin}/nothing-here`);
    await page.getByLabel('Name', { exact: true }).fill('Wrong');
    await press('Add and test');
    assert.match(await text(), /does not answer yet/);
    await ada.look(page, 'server-failing');

    await page.goto(`${origin}/setup/server?more=1`);
    await page.getByLabel('Address of the server').fill(server.url);
    await page.getByLabel('Name', { exact: true }).fill('Everything');
    await press('Add and test');
    const shown = await text();
    assert.match(shown, /The server answers with \d+ tools/);
    for (const step of [/address/i, /tools/i]) assert.match(shown, step);
    assert.equal(await page.locator('.steps li').count() > 2, true, shown);
    assert.equal(await page.locator('.steps .failed').count(), 0, shown);
    address = `${origin}/mcp/analytical-engines-co/everything`;
    assert.ok(shown.includes(address), shown);
    for (const recipe of (await page.locator('details > summary').all()).slice(1)) await recipe.click();
    const recipes = await text();
    for (const client of ['Claude Code', 'Claude Desktop', 'mcp-remote', 'Cursor', 'VS Code', 'curl']) assert.ok(recipes.includes(client), client);
    await ada.look(page, 'server-recipes');
});

test('an API key is shown once and works', async () => {
    await press('Make an API key');
    key = guard((await page.locator('.secret').innerText()).trim(), 'the key that Chromium shows');
    assert.match(key, /^tulle_key_/);
    await ada.look(page, 'key');
    const { status, body } = await rpc(address, 'tools/call', { name: 'echo', arguments: { message: 'from the page' } }, { key });
    assert.equal(status, 200);
    assert.match(JSON.stringify(body), /from the page/);
    await leave(page, () => page.getByRole('link', { name: 'Your account' }).click());
    assert.equal(path(), '/account');
    assert.ok(!(await page.content()).includes(key), 'the key is not shown again');
    await ada.look(page, 'account');
});

test('signing out and in again; a wrong password is said and forgiven', async () => {
    await press('Sign out');
    assert.equal(path(), '/login');
    await ada.look(page, 'login');
    await page.goto(`${origin}/account`);
    assert.equal(path(), '/login');
    await signIn(page, 'not the password');
    assert.match(await text(), /wrong/);
    await ada.look(page, 'login-wrong');
    await signIn(page);
    assert.equal(path(), '/account');
});

/** A program on the SDK with nothing but the address; `person(url)` takes the browser to the redirect back. */
async function connectSdk(name, person) {
    const back = await listen('<!doctype html><title>Done</title><p>You may close this window.</p>');
    const provider = {
        redirectUrl: `http://127.0.0.1:${new URL(back.origin).port}/callback`,
        get clientMetadata() { return { client_name: name, redirect_uris: [this.redirectUrl], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] }; },
        clientInformation() { return this.client; },
        saveClientInformation(client) { this.client = client; },
        tokens() { return this.kept; },
        saveTokens(kept) {
            guard(kept.access_token, 'access token');
            guard(kept.refresh_token, 'refresh token');
            this.kept = kept;
        },
        redirectToAuthorization(url) { this.opened = url; },
        saveCodeVerifier(verifier) { this.verifier = verifier; },
        codeVerifier() { return this.verifier; },
    };
    const transport = () => new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
    const first = transport();
    await assert.rejects(new Client({ name, version: '1' }).connect(first), UnauthorizedError);
    await person(provider.opened.href);
    const came = new URL(back.got.find((url) => url.startsWith('/callback')), back.origin);
    assert.equal(came.searchParams.get('iss'), origin);
    await first.finishAuth(guard(came.searchParams.get('code'), 'authorization code'));
    const client = new Client({ name, version: '1' });
    await client.connect(transport());
    return client;
}

test('a program that has only the address is let in by sign-in and consent, and calls a tool', async () => {
    const visitor = await chromium.newPerson();
    const window = await visitor.page();
    const client = await connectSdk('A program on the SDK', async (url) => {
        await window.goto(url);
        assert.equal(path(window), '/login');
        await signIn(window);
        const shown = await text(window);
        for (const said of ['A program on the SDK', 'unverified', '127.0.0.1', 'Everything', 'Analytical Engines & Co', email]) assert.ok(shown.includes(said), `${said}: ${shown}`);
        await visitor.look(window, 'consent');
        await press('Allow', window);
        assert.equal(path(window), '/callback');
    });
    const answer = await client.callTool({ name: 'echo', arguments: { message: 'through consent' } });
    assert.match(JSON.stringify(answer.content), /through consent/);
    await client.close();
    visitor.assertQuiet();
});

test('the keyboard alone goes through sign-in and consent, and shows where it is', async () => {
    const visitor = await chromium.newPerson();
    const window = await visitor.page();
    const hasRing = () => window.locator(':focus-visible').evaluate((element) => parseFloat(getComputedStyle(element).outlineWidth) >= 2);
    const client = await connectSdk('A program for the keyboard', async (url) => {
        await window.goto(url);
        await window.locator('#email:focus').waitFor();
        assert.ok(await hasRing());
        await window.keyboard.type(email);
        await window.keyboard.press('Tab');
        assert.ok(await hasRing());
        await leave(window, () => window.keyboard.press('Enter'));
        await window.locator('#password:focus').waitFor();
        await window.keyboard.type(password);
        await window.keyboard.press('Tab');
        assert.ok(await hasRing());
        await leave(window, () => window.keyboard.press('Enter'));
        for (let i = 0; i < 5 && await window.locator('button[value=allow]:focus').count() === 0; i++) await window.keyboard.press('Tab');
        assert.equal(await window.locator('button[value=allow]:focus').count(), 1, 'Tab reaches the button');
        assert.ok(await hasRing());
        await leave(window, () => window.keyboard.press('Enter'));
        assert.equal(path(window), '/callback');
    });
    await client.close();
    visitor.assertQuiet();
});

test('a request without a resource asks which; the answer goes to an app and to a web site as well', async () => {
    for (const redirect of ['cursor://anysphere.cursor-retrieval/oauth/callback', 'https://app.example.test/callback']) {
        const client = await makeClient(tulle, { client_name: 'Elsewhere', redirect_uris: [redirect] });
        const window = await ada.page();
        await window.goto(`${origin}/oauth/authorize?${request(client, pkce())}`);
        await ada.look(window, `consent-choice-${new URL(redirect).protocol.slice(0, -1)}`);
        assert.equal(await window.getByRole('radio', { checked: true }).count(), 1, 'the likeliest is chosen');
        // The web site is not found from here, the app is not installed: that the browser went there is what counts.
        const left = window.waitForEvent('requestfailed', (sent) => sent.url().startsWith(`${redirect}?code=`));
        await Promise.all([left, button('Allow', window).click()]);
        await window.close();
        assert.deepEqual(ada.complaints.splice(0).filter((said) => !said.includes('ERR_NAME_NOT_RESOLVED')), [], 'form-action allows the redirect');
    }
});

test('the consent page shows nothing in a frame of another origin', async () => {
    const client = await makeClient(tulle);
    const consent = `${origin}/oauth/authorize?${request(client, pkce(), { resource: address })}`;
    await page.goto(consent);
    assert.match(await text(), /Allow access/, 'in a window of its own it is shown');
    const foreign = await listen(`<!doctype html><title>Trap</title><iframe src="${consent.replaceAll('&', '&amp;')}"></iframe>`);
    const trapped = await ada.page();
    const [answer] = await Promise.all([trapped.waitForResponse((response) => response.url() === consent), trapped.goto(foreign.origin)]);
    assert.equal(answer.status(), 200, 'the browser asked as the person who is signed in');
    const frame = await trapped.locator('iframe').elementHandle().then((handle) => handle.contentFrame());
    await frame.waitForURL((url) => !['about:blank', ''].includes(url.href));
    assert.ok(!(await frame.content()).includes('Allow access'));
    assert.equal(await frame.locator('button[value=allow]').count(), 0);
    assert.match(ada.complaints.splice(0).join('\n'), /frame/);
    await trapped.close();
});

test('the account page: the name, another browser is signed out, the password is changed', async () => {
    const other = await chromium.newPerson();
    const second = await other.page();
    await second.goto(`${origin}/login`);
    await signIn(second);
    assert.equal(path(second), '/account');

    await page.goto(`${origin}/account`);
    await page.getByLabel('Name').fill('Augusta Ada');
    await press('Save');
    assert.equal(await page.locator('h1').innerText(), 'Augusta Ada');
    const others = page.getByRole('button', { name: 'Sign it out', exact: true });
    assert.ok(await others.count() >= 1);
    await ada.look(page, 'account-sessions');
    for (let left = await others.count(); left > 0; left--) {
        await leave(page, () => others.first().click());
        assert.match(await text(), /signed out/);
        assert.equal(await others.count(), left - 1);
    }
    await second.goto(`${origin}/account`);
    assert.equal(path(second), '/login', 'the other browser is out');

    const next = plant('the new password of Ada');
    await page.getByLabel('Present password').fill('not the password');
    await page.getByLabel('New password').fill(next);
    await press('Change the password');
    assert.match(await text(), /present password is wrong/i);
    await ada.look(page, 'account-problem');
    await page.getByLabel('Present password').fill(password);
    await page.getByLabel('New password').fill(next);
    await press('Change the password');
    assert.match(await text(), /password is changed/i);
    await signIn(second, password);
    assert.match(await text(second), /wrong/);
    await signIn(second, next);
    assert.equal(path(second), '/account');
    password = next;
    other.assertQuiet();
});

test('invitations, signing out and errors are pages too', async () => {
    const org = { key };
    const { url } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'grace@example.test', role: 'member' }, org);
    await page.goto(url);
    await ada.look(page, 'invite-other');
    const grace = await chromium.newPerson();
    const window = await grace.page();
    await window.goto(url);
    await grace.look(window, 'invite');
    await window.getByLabel('Your name').fill('Grace');
    await window.getByLabel('Password').fill(plant('the password of Grace'));
    await press('Join', window);
    assert.equal(path(window), '/account');
    await grace.look(window, 'account-member');
    assert.equal(await window.getByRole('link', { name: 'Add a server' }).count(), 0);
    await window.goto(`${origin}/logout`);
    await grace.look(window, 'logout');
    await window.goto(`${origin}/oauth/authorize?client_id=cli_00000000000000000000000000000000`);
    await grace.look(window, 'error');
    const { stdout } = await tulle.cli(['user', 'create', '--email', 'linus@example.test']);
    const linus = await chromium.newPerson();
    const third = await linus.page();
    await third.goto(stdout.trim().split('\n')[1]);
    await linus.look(third, 'invite-password');
    for (const person of [ada, grace, linus]) person.assertQuiet();
});
