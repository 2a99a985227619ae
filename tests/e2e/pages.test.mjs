// The pages that people see, as a browser without scripts uses them: setup, sign-in, account, invitations, sessions, CSRF.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Browser } from './lib/browser.mjs';
import { rpc, send } from './lib/http.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { startV2 } from './lib/servers.mjs';
import { prepareTulle, startTulle } from './lib/tulle.mjs';

let tulle, server, password, operator;
before(async () => {
    server = await startV2();
    tulle = await startTulle();
    password = plant('the operator\'s password');
});
after(() => tulle?.end());

/** An account with a password, made by the command line. */
async function makePerson(email, ...flags) {
    const secret = plant(`password of ${email}`);
    const { code, stderr, stdout } = await tulle.cli(['user', 'create', '--email', email, '--password-stdin', ...flags], { stdin: `${secret}\n` });
    assert.equal(code, 0, stderr);
    return { email, password: secret, id: stdout.trim() };
}

const events = async (org, filter) => (await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100, ...filter }, org)).items;

test('the first start prints a setup link; from it a newcomer comes to an API key that works', async () => {
    const link = /^Set up: (\S+)$/m.exec(tulle.child.out)?.[1];
    assert.ok(link, tulle.child.out);
    const token = new URL(link).searchParams.get('token');
    const browser = new Browser(tulle.url);
    const wrong = await browser.open(`/setup?token=${'A'.repeat(43)}`);
    assert.equal(wrong.status, 404);

    let page = await browser.open(`/setup?token=${token}`);
    assert.equal(page.status, 200);
    page = await browser.submit('/setup', { email: 'Ada@Example.test', name: 'Ada <b>L</b>', password: 'short' });
    assert.equal(page.status, 400);
    assert.match(page.text, /at least 8/);
    assert.ok(page.html.includes('Ada &lt;b&gt;L&lt;/b&gt;'), 'what was typed comes back escaped');
    const before = browser.jar.get('tulle-dev');
    page = await browser.submit('/setup', { email: 'Ada@Example.test', name: 'Ada', password });
    assert.match(page.text, /organization/i);
    assert.notEqual(browser.jar.get('tulle-dev'), before);

    page = await browser.submit('/setup/organization', { name: 'Acme & Co' });
    assert.equal(page.path, '/setup/server');
    page = await browser.submit('/setup/server', { url: 'not a url' });
    assert.ok([400, 422].includes(page.status), page.text);
    page = await browser.submit('/setup/server', { url: server.url, name: 'Fixture' });
    assert.equal(page.status, 200, page.text);
    assert.match(page.text, /The server answers with \d+ tools/);
    assert.match(page.text, /address .*ms.* tools/s, 'the steps of the test are shown');
    const address = /\/mcp\/acme-co\/fixture/.exec(page.text)?.[0];
    assert.ok(address, page.text);
    for (const client of ['Claude Code', 'mcp-remote', 'Cursor', 'VS Code', 'curl']) assert.ok(page.text.includes(client), client);

    page = await browser.submit('/account/keys');
    const key = guard(/tulle_key_[\w-]+/.exec(page.text)?.[0], 'the key made in the browser');
    assert.equal(page.headers['cache-control'], 'no-store');
    const { status, body } = await rpc(`${tulle.url}${address}`, 'tools/list', {}, { key });
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(body.result.tools.length > 0);
    operator = { browser, key, org: { key } };

    const stranger = await new Browser(tulle.url).open(`/setup?token=${token}`);
    assert.equal(stranger.status, 404, 'the link is good once');
    assert.ok(!tulle.child.err.includes(token), 'the log does not show the link');
    const again = await tulle.cli(['setup-link']);
    assert.notEqual(again.code, 0, 'no link while there is an operator');
});

test('a setup link races: exactly one of two uses makes the operator', async () => {
    const fresh = await startTulle();
    const token = new URL(/^Set up: (\S+)$/m.exec(fresh.child.out)[1]).searchParams.get('token');
    const pages = await Promise.all(['a', 'b'].map(async (name) => {
        const browser = new Browser(fresh.url);
        await browser.open(`/setup?token=${token}`);
        return browser.submit('/setup', { email: `${name}@race.test`, password: plant(`password of ${name}`) });
    }));
    assert.deepEqual(pages.map((page) => page.status).sort(), [200, 404]);
    await fresh.end();
});

test('ADMIN_EMAIL and ADMIN_PASSWORD make the first operator without a link', async () => {
    const secret = plant('ADMIN_PASSWORD');
    const fresh = await startTulle({ env: { ADMIN_EMAIL: 'root@admin.test', ADMIN_PASSWORD: secret } });
    assert.ok(!fresh.child.out.includes('Set up:'), fresh.child.out);
    const browser = new Browser(fresh.url);
    const page = await browser.signIn('root@admin.test', secret);
    assert.equal(page.path, '/account');
    await fresh.end();
    const alone = await prepareTulle({ env: { ADMIN_EMAIL: 'root@admin.test' } });
    const { code, stderr } = await alone.cli(['serve']);
    assert.notEqual(code, 0);
    assert.match(stderr, /ADMIN_PASSWORD/);
    await alone.end();
});

test('every page forbids framing, scripts and caching; the style sheet is our own', async () => {
    for (const path of ['/login', '/setup', '/invite/none', '/account']) {
        const page = await operator.browser.request(path);
        if (page.status === 303) continue;
        assert.match(page.headers['content-security-policy'], /default-src 'none'.*form-action 'self'.*frame-ancestors 'none'/, path);
        assert.ok(!page.headers['content-security-policy'].includes('unsafe'), path);
        assert.equal(page.headers['x-frame-options'], 'DENY', path);
        assert.equal(page.headers['cache-control'], 'no-store', path);
        assert.equal(page.headers['x-content-type-options'], 'nosniff', path);
        assert.ok(!/<script|\son\w+=|style="/i.test(page.html), path);
        assert.equal(page.headers['access-control-allow-origin'], undefined, path);
    }
    const { html } = await operator.browser.open('/account');
    const sheet = await operator.browser.request(/href="(\/assets\/style[^"]*)"/.exec(html)[1]);
    assert.equal(sheet.status, 200);
    assert.match(sheet.headers['content-type'], /text\/css/);
    assert.match(sheet.headers['cache-control'], /immutable/);
    assert.equal((await operator.browser.request('/assets/none.css')).status, 404);
});

test('[217] sign-in answers the same for a wrong password, an unknown account and one without a password', async () => {
    const known = await makePerson('known@people.test');
    await tulle.must('user', 'create', '--email', 'linkonly@people.test');
    const answers = [];
    for (const email of [known.email, 'unknown@people.test', 'linkonly@people.test']) {
        const page = await new Browser(tulle.url).signIn(email, 'wrong password');
        assert.equal(page.status, 401);
        answers.push(page.html.replaceAll(email, 'EMAIL').replaceAll(/value="[0-9a-f]{64}"/g, ''));
    }
    assert.equal(answers[1], answers[0]);
    assert.equal(answers[2], answers[0]);
});

test('[216] failures make the next attempt wait, for known and unknown accounts alike, and a success does not count', async () => {
    const person = await makePerson('locked@people.test');
    for (let i = 0; i < 8; i++) {
        const page = await new Browser(tulle.url).signIn(person.email, person.password);
        assert.equal(page.path, '/account', 'successes are never limited');
    }
    for (const email of [person.email, 'nobody@people.test']) {
        const statuses = [];
        for (let i = 0; i < 6; i++) statuses.push((await new Browser(tulle.url).signIn(email, 'wrong password')).status);
        assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429], email);
    }
    const right = await new Browser(tulle.url).signIn(person.email, person.password);
    assert.equal(right.status, 429);
    assert.match(right.text, /try again in 1 minute/i);
});

test('parallel wrong passwords cannot slip through the lock', async () => {
    const person = await makePerson('parallel@people.test');
    const pages = await Promise.all(Array.from({ length: 12 }, () => new Browser(tulle.url).signIn(person.email, 'wrong password')));
    assert.equal(pages.filter((page) => page.status === 401).length, 5);
    assert.equal(pages.filter((page) => page.status === 429).length, 7);
});

test('[223 226] a session fixed beforehand is not the one after sign-in, and the old one is dead', async () => {
    const person = await makePerson('fixed@people.test');
    const browser = new Browser(tulle.url);
    browser.jar.set('tulle-dev', 'A'.repeat(43));
    await browser.signIn(person.email, person.password);
    const first = browser.jar.get('tulle-dev');
    assert.notEqual(first, 'A'.repeat(43));
    await browser.open('/logout');
    assert.match((await browser.open('/account')).text, /fixed@people\.test/);
    const thief = new Browser(tulle.url);
    thief.jar.set('tulle-dev', first);
    assert.equal((await thief.session()).user.email, person.email);
    await browser.submit('/logout');
    assert.equal(browser.page.path, '/login');
    assert.equal((await thief.session()).user, null);
});

test('[227] a form without its token, with another browser\'s, or from another site changes nothing', async () => {
    const person = await makePerson('csrf@people.test');
    const browser = new Browser(tulle.url);
    await browser.signIn(person.email, person.password);
    const other = new Browser(tulle.url);
    await other.open('/login');
    const stolen = other.page.form('/login').fields.csrf_token;
    await browser.open('/account');
    for (const [values, headers] of [[{ csrf_token: '' }], [{ csrf_token: stolen }], [{}, { origin: 'https://evil.example' }], [{}, { origin: 'null' }],
        [{}, { origin: `http://127.0.0.1:${tulle.port + 1}` }]]) {
        await browser.open('/account');
        const page = await browser.submit('/account/profile', { name: 'Changed', ...values }, { headers });
        assert.equal(page.status, 403, JSON.stringify([values, headers]));
    }
    assert.ok(!(await browser.open('/account')).text.includes('Changed'));
    const page = await browser.submit('/account/profile', { name: 'Changed' });
    assert.match(page.text, /Saved.*Changed|Changed.*Saved/);
    const twice = await browser.request('/account/profile', { method: 'POST', body: 'name=a&name=b' });
    assert.equal(twice.status, 400);
    assert.equal((await browser.request('/account/profile', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).status, 415);
});

test('[227] the session cookie works at /mcp and /api with the token and our own Origin, never at connections', async () => {
    const { browser } = operator;
    const session = await browser.session();
    assert.equal(session.user.email, 'ada@example.test');
    assert.deepEqual(session.organizations.map((org) => [org.slug, org.role]), [['acme-co', 'owner']]);
    const call = (path, headers, body) => send(tulle.url + path, { headers: { cookie: browser.cookies(), ...headers }, body });
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const good = { 'x-csrf-token': session.csrf_token, origin: tulle.url };
    const answer = await call('/mcp', good, list);
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.body.result.tools.some((tool) => tool.name === 'CONNECTION_CREATE'));
    assert.equal((await call('/api/tools/ORGANIZATION_GET', good, {})).body.item.slug, 'acme-co');
    for (const headers of [{}, { origin: tulle.url }, { 'x-csrf-token': session.csrf_token }, { ...good, origin: `http://127.0.0.1:${tulle.port + 1}` },
        { ...good, 'x-csrf-token': '0'.repeat(64) }]) {
        assert.equal((await call('/mcp', headers, list)).status, 403, JSON.stringify(headers));
        assert.equal((await call('/api/tools/ORGANIZATION_GET', headers, {})).status, 403);
    }
    assert.equal((await call('/mcp/acme-co/fixture', good, list)).status, 401);
    assert.equal((await call('/mcp', { ...good, cookie: 'tulle-dev=' + 'A'.repeat(43) }, list)).status, 403);
});

test('an API key is no session on pages', async () => {
    for (const path of ['/login', '/account', '/setup']) {
        const answer = await send(tulle.url + path, { method: 'GET', key: operator.key });
        assert.equal(answer.status, 401, path);
    }
});

test('[222] a password change wants the present one, ends other sessions and gives this one a new id', async () => {
    const person = await makePerson('change@people.test');
    const [here, elsewhere] = [new Browser(tulle.url), new Browser(tulle.url)];
    await here.signIn(person.email, person.password);
    await elsewhere.signIn(person.email, person.password);
    await here.open('/account');
    const next = plant('the changed password');
    let page = await here.submit('/account/password', { current: 'wrong password', password: next });
    assert.equal(page.status, 400);
    assert.match(page.text, /present password is wrong/);
    const before = here.jar.get('tulle-dev');
    page = await here.submit('/account/password', { current: person.password, password: next });
    assert.match(page.text, /password is changed/);
    assert.notEqual(here.jar.get('tulle-dev'), before);
    assert.equal((await elsewhere.session()).user, null);
    assert.equal((await new Browser(tulle.url).signIn(person.email, person.password)).status, 401);
    assert.equal((await new Browser(tulle.url).signIn(person.email, next)).path, '/account');
});

test('SESSION_LIST and SESSION_REVOKE: own sessions only, revoked at once', async () => {
    const person = await makePerson('sessions@people.test');
    const [one, two] = [new Browser(tulle.url), new Browser(tulle.url)];
    await one.signIn(person.email, person.password);
    await two.signIn(person.email, person.password);
    await operator.browser.open('/account');
    const mine = await tulle.use('SESSION_LIST', {}, operator.org);
    assert.ok(mine.items.length >= 1);
    const page = await one.open('/account');
    const foreign = page.forms().find((form) => form.action === '/account/sessions').fields.session_id;
    await tulle.refuse('SESSION_REVOKE', { session_id: foreign }, operator.org, 404);
    assert.equal((await two.session()).user.email, person.email);
    await one.submit('/account/sessions', {}, { having: { session_id: foreign } });
    assert.match(one.page.text, /signed out/);
    assert.equal((await two.session()).user, null);
    const other = new Browser(tulle.url);
    await other.signIn('ada@example.test', password);
    const list = await tulle.use('SESSION_LIST', { limit: 100 }, operator.org);
    await tulle.use('SESSION_REVOKE', { session_id: list.items.at(-1).id }, operator.org);
    assert.equal((await other.session()).user, null);
});

test('[234] an invitation lets somebody new in, once; an existing account must sign in; cancelled ones are dead', async () => {
    const invite = (email, role = 'member') => tulle.use('ORGANIZATION_INVITATION_CREATE', { email, role }, operator.org);
    const { item, url } = await invite('New@Guest.test');
    guard(new URL(url).pathname.split('/').at(-1), 'invitation token');
    assert.equal(item.email, 'new@guest.test');
    assert.deepEqual((await tulle.use('ORGANIZATION_INVITATION_LIST', {}, operator.org)).items.map((i) => i.id), [item.id]);
    const path = new URL(url).pathname;
    const browser = new Browser(tulle.url);
    await browser.request(path, { method: 'GET' });
    let page = await browser.open(path);
    assert.match(page.text, /Join Acme & Co/);
    page = await browser.submit(path, { name: 'Guest', password: plant('password of the guest') });
    assert.equal(page.path, '/account');
    assert.match(page.text, /Servers of Acme & Co.*Fixture/);
    assert.ok(!page.html.includes('/setup/server'), 'a member adds no servers');
    assert.equal((await new Browser(tulle.url).open(path)).status, 404, 'good once');

    const person = await makePerson('exists@guest.test');
    const second = new URL((await invite(person.email, 'admin')).url).pathname;
    const known = new Browser(tulle.url);
    assert.equal((await known.open(second)).path, '/login');
    await known.submit('/login', { email: person.email, password: person.password });
    assert.equal(known.page.path, second);
    assert.equal((await browser.open(second)).status, 403, 'not for somebody else');
    await known.submit(second);
    assert.match(known.page.text, /Servers of Acme & Co/);

    const third = await invite('cancelled@guest.test');
    await tulle.use('ORGANIZATION_INVITATION_CANCEL', { invitation_id: third.item.id }, operator.org);
    assert.equal((await browser.open(new URL(third.url).pathname)).status, 404);
    await tulle.refuse('ORGANIZATION_INVITATION_CANCEL', { invitation_id: third.item.id }, operator.org, 404);
    await tulle.refuse('ORGANIZATION_INVITATION_CREATE', { email: 'x', role: 'member' }, operator.org, 400);
    await tulle.refuse('ORGANIZATION_INVITATION_CREATE', { email: 'x@y.test', role: 'king' }, operator.org, 400);
});

test('another organization sees and cancels no invitation of this one', async () => {
    const other = await tulle.makeOrg('foreign');
    const { item } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'x@y.test', role: 'member' }, operator.org);
    assert.deepEqual((await tulle.use('ORGANIZATION_INVITATION_LIST', {}, other)).items, []);
    await tulle.refuse('ORGANIZATION_INVITATION_CANCEL', { invitation_id: item.id }, other, 404);
});

test('a person in two organizations switches, and sees the servers of one only', async () => {
    const person = await makePerson('both@people.test', '--operator');
    await tulle.must('org', 'create', '--name', 'First', '--slug', 'first-of-both', '--owner', person.email);
    await tulle.must('org', 'create', '--name', 'Second', '--slug', 'second-of-both', '--owner', person.email);
    const browser = new Browser(tulle.url);
    await browser.signIn(person.email, person.password);
    assert.match(browser.page.text, /Servers of First/);
    await browser.submit('/account/organization');
    assert.match(browser.page.text, /Servers of Second/);
    const foreign = (await operator.browser.session()).organizations[0].id;
    const page = await browser.submit('/account/organization', { organization_id: foreign });
    assert.equal(page.status, 404);
    assert.match((await browser.open('/account')).text, /Servers of Second/);
});

test('user create\'s link sets a password once; recover makes an owner again', async () => {
    const { stdout } = await tulle.cli(['user', 'create', '--email', 'later@people.test']);
    const path = new URL(stdout.trim().split('\n')[1]).pathname;
    guard(path.split('/').at(-1), 'password token');
    const browser = new Browser(tulle.url);
    await browser.open(path);
    assert.match(browser.page.text, /Choose a password/);
    await browser.submit(path, { password: plant('a first password') });
    assert.equal(browser.page.path, '/account');
    assert.equal((await browser.open(path)).status, 404);
    const link = await tulle.must('recover', '--org', 'acme-co', '--email', 'later@people.test');
    guard(link.split('/').at(-1), 'recovery token');
    const members = await tulle.use('ORGANIZATION_MEMBER_LIST', {}, operator.org);
    assert.deepEqual(members.items.find((member) => member.email === 'later@people.test').roles, ['owner']);
    await browser.open(new URL(link).pathname);
    const next = plant('a recovered password');
    await browser.submit(new URL(link).pathname, { password: next });
    assert.equal((await new Browser(tulle.url).signIn('later@people.test', next)).path, '/account');
});

test('[215] /login goes on only to paths of this server', async () => {
    const person = await makePerson('onward@people.test');
    for (const [to, expected] of [['/account?done=profile', '/account?done=profile'], ['https://evil.example/', '/'], ['//evil.example/', '/'],
        ['/\\evil.example', '/'], ['/\t/evil.example', '/']]) {
        const browser = new Browser(tulle.url);
        await browser.open(`/login?return_to=${encodeURIComponent(to)}`);
        const { fields } = browser.page.form('/login');
        const body = new URLSearchParams({ ...fields, email: person.email, password: person.password, return_to: to }).toString();
        assert.equal((await browser.request('/login', { method: 'POST', body })).headers.location, expected, to);
    }
});

test('deleting an organization takes its invitations along', async () => {
    const org = await tulle.makeOrg('going');
    const { url } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'late@people.test', role: 'member' }, org);
    await tulle.use('ORGANIZATION_DELETE', { confirm: 'going' }, org);
    assert.equal((await new Browser(tulle.url).open(new URL(url).pathname)).status, 404);
});

test('sign-ins, failures and sign-outs are recorded, without what was typed', async () => {
    const fresh = await prepareTulle();
    const file = join(fresh.dataDir, 'audit.jsonl');
    const secret = plant('password of the recorded');
    Object.assign(fresh.env, { AUDIT_STREAM: `file:${file}`, ADMIN_EMAIL: 'root@admin.test', ADMIN_PASSWORD: secret });
    await fresh.serve();
    const browser = new Browser(fresh.url);
    await browser.signIn('root@admin.test', 'mistyped secret');
    await browser.signIn('typed-by-mistake@admin.test', 'mistyped secret');
    await browser.signIn('root@admin.test', secret);
    await browser.open('/logout');
    await browser.submit('/logout');
    await fresh.stop();
    const text = readFileSync(file, 'utf8');
    const rows = text.trim().split('\n').map((line) => JSON.parse(line)).filter((row) => row.kind === 'auth');
    assert.deepEqual(rows.map((row) => [row.method, row.outcome]), [['signin', 'denied'], ['signin', 'denied'], ['signin', 'ok'], ['signout', 'ok']]);
    assert.equal(rows[0].user_id, rows[2].user_id);
    assert.ok(!text.includes('typed-by-mistake') && !text.includes('mistyped secret') && !text.includes(secret));
    await fresh.end();
});

test('joining is recorded in the organization\'s audit', async () => {
    const kinds = await events(operator.org, { kind: 'auth' });
    assert.ok(kinds.some((event) => event.method === 'invitation_accept' && event.outcome === 'ok'), JSON.stringify(kinds));
});
