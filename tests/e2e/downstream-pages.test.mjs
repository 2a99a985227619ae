// Connecting servers in a real browser, scripts disabled: what is missing is seen, one button leads to the server's own sign-in and
// back, and another takes it away again.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startChromium } from './lib/chromium.mjs';
import { rpc } from './lib/http.mjs';
import { makeOwner } from './lib/oauth.mjs';
import { startOAuthRaw, startOAuthReal } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, raw, real, chromium, person, page, org, origin, connections;
before(async () => {
    [tulle, raw, real, chromium] = await Promise.all([startTulle(), startOAuthRaw(), startOAuthReal(), startChromium()]);
    org = await makeOwner(tulle, 'acme');
    origin = `http://localhost:${tulle.port}`;
    connections = {
        real: await tulle.connect(org, { name: 'Tickets', url: real.url, auth: 'oauth' }),
        raw: await tulle.connect(org, { name: 'A calendar with a name that is rather long for one line of a telephone', url: raw.url, auth: 'oauth', credential_scope: 'user' }),
    };
    person = await chromium.newPerson();
    page = await person.page();
    await page.goto(`${origin}/login?return_to=/account/connections`);
    await page.getByLabel('E-mail address').fill(org.email);
    await page.getByRole('button', { name: 'Continue', exact: true }).click();
    await page.getByLabel('Password').fill(org.password);
    await Promise.all([page.waitForURL(`${origin}/account/connections`), page.getByRole('button', { name: 'Sign in', exact: true }).click()]);
});
after(async () => {
    await chromium?.close();
    await tulle?.end();
});

const press = async (name, until) => Promise.all([page.waitForURL(until), page.getByRole('button', { name, exact: true }).click()]);

test('what is missing is seen, at any width, light and dark', async () => {
    assert.equal(await page.getByText('not connected').count(), 2);
    await person.look(page, 'connections-missing');
});

test('Connect leads through the server\'s own pages and back', async () => {
    await press('Connect Tickets', /done=1/);
    assert.match(await page.locator('main').innerText(), /Tickets is connected for everybody in The acme/);
    await person.look(page, 'connect-done');
    const { body } = await rpc(connections.real.mcp, 'tools/call', { name: 'whoami', arguments: {} }, { key: org.key });
    assert.ok(!body.result.isError, JSON.stringify(body));
});

test('the address that a client shows asks first, and says whose account it is about', async () => {
    const { body } = await rpc(connections.raw.mcp, 'tools/call', { name: 'whoami', arguments: {} }, { key: org.key });
    const [url] = /http:\S+/.exec(body.result.content[0].text);
    await page.goto(url);
    assert.match(await page.locator('main').innerText(), new RegExp(`${org.email}[^]*in your name, for your calls only`));
    await person.look(page, 'connect');
    await press('Connect', /done=1/);
    await page.goto(`${origin}/account/connections`);
    assert.equal(await page.getByText('not connected').count(), 0);
    await person.look(page, 'connections');
});

test('Disconnect, by keyboard', async () => {
    await page.getByRole('button', { name: 'Disconnect Tickets', exact: true }).focus();
    await Promise.all([page.waitForURL(/done=disconnected/), page.keyboard.press('Enter')]);
    assert.equal(await page.getByText('not connected').count(), 1);
    assert.match(await page.getByRole('status').innerText(), /Disconnected/);
    person.assertQuiet();
});
