// Misuse of accounts, sessions and organizations, row by row. Numbers in brackets: the rows of the abuse matrix; more of them are
// in the titles of pages, policy, management-organizations and the proxy's tests.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Browser } from './lib/browser.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeOwner, makePerson, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, raw, org, other;
before(async () => {
    [tulle, raw] = await Promise.all([startTulle(), startRaw()]);
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
});
after(() => tulle?.end());

/** A member of acme with an API key. */
async function makeMember(name, role = 'member') {
    const person = await makePerson(tulle, `${name}@acme.example`);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role }, org);
    return { ...person, key: await tulle.makeKey('acme', person.email) };
}

test('[218] a password that is too long is refused, whatever its length', async () => {
    const person = await makePerson(tulle, 'long@people.example');
    for (const [length, statuses] of [[129, [400, 401]], [60_000, [400, 401]], [1_000_000, [413]]]) {
        const browser = new Browser(tulle.url);
        await browser.open('/login');
        const { status } = await browser.submit('/login', { email: person.email, password: 'x'.repeat(length) });
        assert.ok(statuses.includes(status), `${length}: ${status}`);
    }
    assert.equal((await new Browser(tulle.url).signIn(person.email, person.password)).path, '/account');
});

test('[219] a storm of sign-ins waits in a short queue: 503 with Retry-After, and the rest goes on', async () => {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    const { fields } = browser.page.form('/login');
    const attempt = (i) => browser.request('/login', { method: 'POST', body: new URLSearchParams({ ...fields, email: `nobody${i}@people.example`, password: 'wrong password' }).toString() });
    let isOver = false;
    const storm = Promise.all(Array.from({ length: 200 }, (_, i) => attempt(i))).finally(() => (isOver = true));
    let alive = 0;
    while (!isOver && alive < 20) {
        assert.equal((await send(`${tulle.url}/health/live`, { method: 'GET' })).status, 200);
        alive++;
    }
    const pages = await storm;
    const refused = pages.filter(({ status }) => status === 503);
    assert.ok(refused.length > 0, pages.map(({ status }) => status).join());
    for (const page of refused) assert.ok(Number(page.headers['retry-after']) > 0);
    for (const { status } of pages) assert.ok([401, 503].includes(status), `${status}`);
    assert.equal((await new Browser(tulle.url).signIn(org.email, org.password)).path, '/account');
});

test('[224] the session cookie is for this host, this server and no script', async () => {
    /** Every Set-Cookie of a sign-in at a program that is known by this name. */
    const cookiesOf = async (program, origin, { email, password }) => {
        const headers = { host: new URL(origin).host, origin };
        const login = await send(`${program.url}/login`, { method: 'GET', headers });
        const csrf_token = /name="csrf_token" value="(\w+)"/.exec(login.text)[1];
        const done = await send(`${program.url}/login`, {
            headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded', cookie: login.headers['set-cookie'].map((line) => line.split(';')[0]).join('; ') },
            body: new URLSearchParams({ csrf_token, email, password }).toString(),
        });
        assert.equal(done.status, 303, done.text);
        return [...login.headers['set-cookie'], ...done.headers['set-cookie']].filter((line) => !/Max-Age=0/i.test(line));
    };
    const check = (cookies, prefix, isSecure) => {
        assert.ok(cookies.some((line) => line.startsWith(`${prefix}=`)), cookies.join('\n').replaceAll(/=[\w-]{43}/g, ''));
        for (const line of cookies) {
            const attributes = line.split('; ').slice(1).map((one) => one.toLowerCase());
            assert.ok(line.startsWith(prefix));
            for (const needed of ['httponly', 'samesite=lax', 'path=/']) assert.ok(attributes.includes(needed), needed);
            assert.equal(attributes.includes('secure'), isSecure);
            assert.ok(!attributes.some((one) => one.startsWith('domain')));
        }
    };
    check(await cookiesOf(tulle, tulle.url, org), 'tulle-dev', false);
    const secure = await startTulle({ env: { BASE_URL: 'https://tulle.example' } });
    try {
        check(await cookiesOf(secure, 'https://tulle.example', await makePerson(secure, 'ada@secure.example')), '__Host-tulle', true);
    } finally {
        await secure.end();
    }
});

test('[225] two session cookies at once are no session', async () => {
    const browser = await signedIn(tulle, org);
    const name = 'tulle-dev';
    const mine = browser.jar.get(name);
    const ask = async (cookie) => (await send(`${tulle.url}/api/session`, { method: 'GET', headers: { cookie } })).body.user;
    assert.equal((await ask(`${name}=${mine}`)).email, org.email);
    const theirs = (await signedIn(tulle, other)).jar.get(name);
    for (const cookie of [`${name}=${theirs}; ${name}=${mine}`, `${name}=${mine}; ${name}=${'A'.repeat(43)}`]) assert.equal(await ask(cookie), null, cookie.replace(mine, 'MINE').replace(theirs, 'THEIRS'));
});

test('[230] guessed sessions are nobody, one after the other', async () => {
    const name = 'tulle-dev';
    const answers = await Promise.all(Array.from({ length: 300 }, () =>
        send(`${tulle.url}/api/session`, { method: 'GET', headers: { cookie: `${name}=${randomBytes(32).toString('base64url')}` } })));
    for (const { status, body } of answers) assert.deepEqual([status, body.user], [200, null]);
});

test('[229] nobody switches to an organization that is not theirs', async () => {
    const browser = await signedIn(tulle, org);
    const { csrf_token } = await browser.session();
    const page = await browser.request('/account/organization', { method: 'POST', body: new URLSearchParams({ csrf_token, organization_id: other.org_id }).toString() });
    assert.equal(page.status, 404);
    assert.match((await browser.open('/account')).text, /The acme/);
});

test('[233] members do not raise themselves, admins make no owner, the last owner stays', async () => {
    const member = await makeMember('member');
    const admin = await makeMember('admin', 'admin');
    const raise = (user_id, role, who) => tulle.tool('ORGANIZATION_MEMBER_UPDATE_ROLE', { user_id, role }, who);
    for (const role of ['owner', 'admin']) assert.ok([403, 404].includes((await raise(member.user_id, role, member)).status), role);
    for (const user_id of [member.user_id, admin.user_id]) assert.equal((await raise(user_id, 'owner', admin)).status, 403);
    assert.equal((await raise(org.user_id, 'member', admin)).status, 403);
    assert.ok([403, 409].includes((await tulle.tool('ORGANIZATION_MEMBER_REMOVE', { user_id: org.user_id }, admin)).status));
    assert.ok([409, 422].includes((await raise(org.user_id, 'member', org)).status));
    assert.ok([409, 422].includes((await tulle.tool('ORGANIZATION_MEMBER_REMOVE', { user_id: org.user_id }, org)).status));
    const { items } = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, org);
    const roles = Object.fromEntries(items.map((item) => [item.email, item.roles]));
    assert.deepEqual([roles[org.email], roles[admin.email], roles[member.email]], [['owner'], ['admin'], ['member']]);
});

test('[235] a guessed, a cancelled and a used invitation are the same page', async () => {
    const invite = async (email) => {
        const { item, url } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email, role: 'member' }, org);
        guard(url.split('/').at(-1), 'invitation');
        return { id: item.id, path: new URL(url).pathname };
    };
    const cancelled = await invite('cancelled@people.example');
    await tulle.use('ORGANIZATION_INVITATION_CANCEL', { invitation_id: cancelled.id }, org);
    const used = await invite('used@people.example');
    const guest = new Browser(tulle.url);
    await guest.open(used.path);
    await guest.submit(used.path, { name: 'Guest', password: guard(randomBytes(12).toString('hex'), 'password') });
    assert.equal(guest.page.path, '/account', guest.page.text);
    const pages = new Set();
    for (const path of [cancelled.path, used.path, `/invite/${'A'.repeat(43)}`, '/invite/x']) {
        const page = await new Browser(tulle.url).open(path);
        pages.add(`${page.status} ${page.text.replaceAll(/[0-9a-f]{32}/g, 'ID')}`);
    }
    assert.equal(pages.size, 1, [...pages].join('\n'));
    assert.match([...pages][0], /^404 /);
});

test('[238] names are kept as they are and shown as text; controls and names that are too long are refused', async () => {
    const name = '\'; DROP TABLE orgs; -- "%_\\';
    assert.equal((await tulle.use('ORGANIZATION_UPDATE', { name }, other)).item.name, name);
    assert.equal((await tulle.use('ORGANIZATION_GET', {}, other)).item.name, name);
    await tulle.use('ORGANIZATION_UPDATE', { name: '<img src=x onerror=alert(1)>' }, other);
    const { html } = (await signedIn(tulle, other)).page;
    assert.ok(html.includes('&lt;img src=x onerror=alert(1)&gt;') && !html.includes('<img src=x'), html);
    for (const bad of ['x'.repeat(1_000_000), 'a\nb', 'a\u0000b', ''])
        assert.ok([400, 413, 422].includes((await tulle.tool('ORGANIZATION_UPDATE', { name: bad }, other)).status), JSON.stringify(bad.slice(0, 10)));
});

test('[258] what a server says about authorization is not said in our name', async () => {
    const connection = await tulle.connect(org, { name: 'Refusing', url: raw.url });
    await raw.plan({ 'tools/list': { name: 'status', status: 401, headers: { 'www-authenticate': 'Bearer resource_metadata="https://evil.example/"' } } });
    try {
        const answer = await rpc(connection.mcp, 'tools/list', {}, org);
        assert.ok(!(answer.headers['www-authenticate'] ?? '').includes('evil.example'));
        assert.notEqual(answer.status, 401, 'the client would throw its token away');
        assert.ok(answer.body.error, answer.text);
    } finally {
        await raw.plan({});
    }
});
