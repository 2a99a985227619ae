// Authenticator apps and recovery codes, what lies between the two factors, and fresh proofs for dangerous acts. The numbers
// are rows of the abuse matrix (tests/abuse-rows.md).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { makeClient, pkce, request } from './lib/oauth.mjs';
import { otp } from './lib/otp.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { ageProofs, sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('factors');
});
after(() => tulle?.end());

async function makePerson(name) {
    const email = `${name}@factors.example`;
    const password = plant(`password of ${email}`);
    const { code, stderr, stdout } = await tulle.cli(['user', 'create', '--email', email, '--password-stdin'], { stdin: `${password}\n` });
    assert.equal(code, 0, stderr);
    const person = { email, password, id: stdout.trim(), browser: new Browser(tulle.url) };
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: 'admin' }, org);
    await person.browser.signIn(email, password);
    assert.equal((await person.browser.session()).user.id, person.id);
    return person;
}

/** Sets an app up as a person does: its seed, and the recovery codes that come with it. */
async function setUpApp({ browser, id }) {
    await browser.open('/account/security');
    const page = await browser.submit('/account/security/app');
    const seed = guard(/<p class="secret">([A-Z2-7]{32})<\/p>/.exec(page.html)?.[1], 'a seed');
    assert.match(page.html, new RegExp(`otpauth://totp/Tulle:[^"]*secret=${seed}&amp;issuer=Tulle%20localhost`));
    assert.match(page.html, /<svg viewBox="0 0 \d+ \d+"/);
    const done = await browser.submit('/account/security/app/confirm', { code: otp(seed) });
    assert.equal(done.status, 200, done.text);
    const codes = done.html.match(/[a-z2-7]{4}(-[a-z2-7]{4}){3}/g) ?? [];
    forgetSteps(id);
    return { seed, codes };
}

/** What the app showed may be used again: so that tests need not wait for the next code. */
function forgetSteps(id) {
    sql(tulle, `UPDATE user_totp SET last_step = 0 WHERE user_id = '${id}'`);
}

async function withApp(name) {
    const person = await makePerson(name);
    return { ...person, ...await setUpApp(person) };
}

/** The password in a fresh browser: at the second step. */
async function firstFactor({ email, password }) {
    const browser = new Browser(tulle.url);
    const page = await browser.signIn(email, password);
    assert.equal(page.path, '/login/second', page.text);
    return browser;
}

const isIn = async (browser) => (await browser.session()).user !== null;
const enter = (browser, code) => browser.submit('/login/second', { code });

/** A management tool as a script of our own pages calls it: by cookie. */
async function byCookie(browser, tool, args = {}) {
    const { csrf_token } = await browser.session();
    const answer = await browser.request(`/api/tools/${tool}`, {
        method: 'POST', body: JSON.stringify(args), headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token },
    });
    return { status: answer.status, body: JSON.parse(answer.html) };
}

/** The audit rows of a person, once `wanted` (its count of rows) is there: they are written a moment later. */
const events = (id, wanted) => until('the audit rows', async () => {
    const rows = (await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100, kind: 'auth', user_id: id }, org)).items;
    return wanted(rows) && rows;
});
const has = (method, outcome = 'ok') => (row) => row.method === method && row.outcome === outcome;

test('an app is set up by its QR code and first code; ten recovery codes come with it and are shown once', async () => {
    const person = await makePerson('enrol');
    const { browser } = person;
    await browser.open('/account/security');
    const page = await browser.submit('/account/security/app');
    const seed = guard(/<p class="secret">([A-Z2-7]{32})<\/p>/.exec(page.html)?.[1], 'a seed');
    const wrong = await browser.submit('/account/security/app/confirm', { code: otp(seed, 100) });
    assert.equal(wrong.status, 401);
    assert.ok(wrong.html.includes(seed), 'the same seed can be tried again');
    assert.match((await browser.open('/account/security')).text, /Set up an app/, 'it is not on yet');
    await browser.open('/account/security/app');
    const before = browser.jar.get('tulle-dev');
    const done = await browser.submit('/account/security/app/confirm', { code: otp(seed) });
    const codes = done.html.match(/[a-z2-7]{4}(-[a-z2-7]{4}){3}/g) ?? [];
    assert.equal(new Set(codes).size, 10, done.text);
    assert.notEqual(browser.jar.get('tulle-dev'), before, 'the session has a new id');
    const after = await browser.open('/account/security');
    assert.match(after.text, /10 are left/);
    for (const code of codes) assert.ok(!after.html.includes(code));
    assert.equal((await browser.open('/account/security/app')).path, '/account/security', 'the seed is never shown again');
    await events(person.id, (rows) => rows.some(has('factor_add')) && rows.some(has('recovery_codes')) && rows.some(has('second_factor', 'denied')));
});

test('row 275: after the password alone there is no session, no page, no code, no token', async () => {
    const person = await withApp('halfway');
    const browser = await firstFactor(person);
    assert.equal(await isIn(browser), false);
    assert.equal((await browser.open('/account')).path, '/login');
    assert.equal((await browser.request('/oauth/authorize')).status, 400);
    const asked = await browser.request(`/oauth/authorize?${request(await makeClient(tulle), pkce())}`);
    assert.equal(asked.status, 303);
    assert.match(asked.headers.location, /^\/login\?return_to=/);
    const api = await byCookie(browser, 'ORGANIZATION_LIST');
    assert.equal(api.status, 401, JSON.stringify(api.body));
    await browser.open('/login/second');
    const page = await enter(browser, otp(person.seed));
    assert.equal(page.path, '/account', page.text);
    assert.ok(await isIn(browser));
    assert.equal(browser.jar.has('tulle-dev-second'), false);
    await events(person.id, (rows) => rows.some(has('first_factor')) && rows.filter(has('signin')).length === 2);
});

test('the sign-in goes on to where it was going after the second factor', async () => {
    const person = await withApp('onward');
    const browser = new Browser(tulle.url);
    await browser.open('/login?return_to=/account/connections');
    await browser.signIn(person.email, person.password, '/account/connections');
    await browser.open('/login/second');
    const page = await enter(browser, otp(person.seed));
    assert.ok(['/account', '/account/connections'].includes(page.path), page.path);
    assert.equal((await browser.open('/login/second')).path, '/account', 'there is nothing left to do');
});

test('row 273: a code works once, two steps away never, and the sixth try is over', async () => {
    const person = await withApp('once');
    const code = otp(person.seed);
    const first = await firstFactor(person);
    const second = await firstFactor(person);
    assert.equal((await enter(first, code)).path, '/account');
    const again = await enter(second, code);
    assert.equal(again.status, 401, again.text);
    assert.equal(await isIn(second), false);
    forgetSteps(person.id);
    for (const steps of [-3, 3]) assert.equal((await enter(second, otp(person.seed, steps))).status, 401);
    assert.equal((await enter(second, '')).status, 401);
    assert.equal((await enter(second, '000000 000000')).status, 401);
    const over = await enter(second, otp(person.seed));
    assert.equal(await isIn(second), false, over.text);
    const third = await firstFactor(person);
    const waits = await enter(third, otp(person.seed));
    assert.equal(waits.status, 429, 'the account waits, whichever browser tries');
    assert.ok(Number(waits.headers['retry-after']) > 0);
    assert.equal(await isIn(third), false);
    sql(tulle, "DELETE FROM signin_failures WHERE name LIKE 'factor %'");
    assert.equal((await enter(third, otp(person.seed))).path, '/account');
});

test('row 273: parallel uses of one code let one in', async () => {
    const person = await withApp('parallel');
    const browsers = await Promise.all(Array.from({ length: 4 }, () => firstFactor(person)));
    const code = otp(person.seed);
    await Promise.all(browsers.map((browser) => enter(browser, code)));
    const states = await Promise.all(browsers.map(isIn));
    assert.equal(states.filter(Boolean).length, 1, JSON.stringify(states));
});

test('row 274: a recovery code lets in once; new ones end the old', async () => {
    const person = await withApp('recovery');
    const browser = await firstFactor(person);
    assert.equal((await enter(browser, person.codes[0].toUpperCase().replaceAll('-', ' '))).path, '/account');
    assert.match((await browser.open('/account/security')).text, /9 are left/);
    const other = await firstFactor(person);
    assert.equal((await enter(other, person.codes[0])).status, 401);
    assert.equal(await isIn(other), false);
    const made = await browser.submit('/account/security/codes');
    const fresh = made.html.match(/[a-z2-7]{4}(-[a-z2-7]{4}){3}/g);
    assert.equal(fresh.length, 10);
    assert.equal((await enter(other, person.codes[1])).status, 401);
    assert.equal((await enter(other, fresh[0])).path, '/account');
});

test('row 274: an old proof changes no factor; a password alone does not either where there is a second', async () => {
    const person = await withApp('guarded');
    const { browser } = person;
    await browser.open('/account/security');
    const { fields } = browser.page.form('/account/security/app/remove');
    ageProofs(tulle);
    for (const path of ['/account/security/app/remove', '/account/security/codes', '/account/security/app', '/account/security/passkeys', '/account/security/passkeys/remove']) {
        const sent = await browser.request(path, { method: 'POST', body: new URLSearchParams({ ...fields, passkey_id: 'pk_x', client_data: 'x', attestation: 'x' }).toString() });
        assert.equal(sent.status, 303, path);
        assert.equal(sent.headers.location, '/login/again?return_to=/account/security', path);
    }
    await browser.open('/account/security');
    assert.equal(browser.page.path, '/login/again');
    const wrong = await browser.submit('/login/again', { code: otp(person.seed, 100) });
    assert.equal(wrong.status, 401);
    const guess = await browser.request('/login/again', { method: 'POST', body: new URLSearchParams({ csrf_token: fields.csrf_token, password: person.password }).toString() });
    assert.equal(guess.status, 401, 'the password alone is not them');
    const back = await browser.submit('/login/again', { code: otp(person.seed) });
    assert.equal(back.path, '/account/security', back.text);
    assert.match(back.text, /Remove the app/);

    // a session from before the app was set up, by the same person
    const old = await makePerson('older');
    const { seed } = await setUpApp({ ...old, browser: await otherBrowser(old) });
    await old.browser.open('/account/security');
    assert.equal(old.browser.page.path, '/login/again');
    assert.ok(!old.browser.page.html.includes('name="password"'), 'the password is not offered');
    const sneaky = await old.browser.request('/login/again', { method: 'POST', body: new URLSearchParams({ ...old.browser.page.forms()[0].fields, code: undefined, password: old.password }).toString().replace('code=undefined&', '') });
    assert.ok([303, 401].includes(sneaky.status), sneaky.text);
    assert.equal((await old.browser.open('/account/security')).path, '/login/again', 'still one factor');
    forgetSteps(old.id);
    assert.equal((await old.browser.submit('/login/again', { code: otp(seed) })).path, '/account/security');
    const done = await old.browser.submit('/account/security/app/remove');
    assert.match(done.text, /app is removed/);
    const alone = new Browser(tulle.url);
    assert.equal((await alone.signIn(old.email, old.password)).path, '/account', 'one factor again');
    assert.deepEqual(sql(tulle, `SELECT user_id FROM recovery_codes WHERE user_id = '${old.id}'`), []);
});

async function otherBrowser({ email, password }) {
    const browser = new Browser(tulle.url);
    await browser.signIn(email, password);
    return browser;
}

test('row 220: a password link does not lead around the second factor', async () => {
    const person = await withApp('reset');
    const token = plant('a password link of reset@').padEnd(43, 'A').slice(0, 43);
    const hash = createHash('sha256').update(token).digest('hex');
    const now = Date.now();
    sql(tulle, `INSERT INTO one_time_tokens (hash, purpose, user_id, created_at, expires_at) VALUES ('${hash}', 'password', '${person.id}', ${now}, ${now + 600000})`);
    const browser = new Browser(tulle.url);
    await browser.open(`/invite/${token}`);
    const page = await browser.submit(`/invite/${token}`, { password: plant('the new password of reset@') });
    assert.equal(page.path, '/login/second', page.text);
    assert.equal(await isIn(browser), false);
    assert.equal((await enter(browser, otp(person.seed))).path, '/account');
});

test('[237] tulle recover refuses a disabled account unless told, and takes lost factors away; both are in the record', async () => {
    const person = await withApp('lost');
    sql(tulle, `UPDATE users SET disabled_at = 1 WHERE id = '${person.id}'`);
    const recover = (...more) => tulle.cli(['recover', '--org', 'factors', '--email', person.email, ...more]);
    const refused = await recover('--reset-factors');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /is disabled.*--enable/);
    assert.equal(sql(tulle, `SELECT user_id FROM user_totp WHERE user_id = '${person.id}'`).length, 1, 'nothing is changed');
    const enabled = await recover('--enable');
    assert.equal(enabled.code, 0, enabled.stderr);
    guard(enabled.stdout.trim().split('/').at(-1), 'a recovery link');
    const waiting = await firstFactor(person);
    sql(tulle, `INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, is_backup_eligible, is_backed_up, name, created_at) VALUES ('pk_lost', '${person.id}', 'lost', 'x', 0, 0, 0, 'Lost', 1)`);
    const reset = await recover('--reset-factors');
    assert.equal(reset.code, 0, reset.stderr);
    const path = new URL(guard(reset.stdout.trim(), 'a recovery link')).pathname;
    assert.equal((await enter(waiting, otp(person.seed))).path, '/login', 'what waited for a factor is over');
    for (const table of ['user_totp', 'recovery_codes', 'passkeys', 'pending_signins'])
        assert.deepEqual(sql(tulle, `SELECT user_id FROM ${table} WHERE user_id = '${person.id}'`), [], table);
    const browser = new Browser(tulle.url);
    await browser.open(path);
    assert.equal((await browser.submit(path, { password: plant('the new password of lost@') })).path, '/account');
    const rows = (await tulle.use('ORGANIZATION_AUDIT_LIST', { limit: 100, user_id: 'cli' }, org)).items.map(({ method, name }) => `${method} ${name}`);
    for (const method of ['recover: account enabled', 'recover: factors reset'])
        assert.ok(rows.includes(`${method} ${person.id}`), `${method}: ${rows}`);
});

test('a new password ends what the old one began', async () => {
    const person = await withApp('begun');
    const begun = await firstFactor(person);
    await person.browser.open('/account');
    ageProofs(tulle);
    const next = { current: person.password, password: plant('the next password of begun') };
    assert.equal((await person.browser.submit('/account/password', next)).path, '/login/again', 'an old proof, and there is a second factor');
    assert.equal((await person.browser.submit('/login/again', { code: otp(person.seed) })).path, '/account');
    const page = await person.browser.submit('/account/password', next);
    assert.match(page.text, /password is changed/);
    forgetSteps(person.id);
    assert.equal((await enter(begun, otp(person.seed))).path, '/login');
    assert.equal(await isIn(begun), false);
});

test('a pending sign-in is of one browser and for ten minutes', async () => {
    const person = await withApp('pending');
    const browser = await firstFactor(person);
    const stranger = new Browser(tulle.url);
    assert.equal((await stranger.open('/login/second')).path, '/login');
    const { fields } = browser.page.form('/login/second');
    const sent = await stranger.request('/login/second', { method: 'POST', body: new URLSearchParams({ ...fields, code: otp(person.seed) }).toString() });
    assert.equal(sent.status, 403, 'another browser has no form of this one');
    sql(tulle, 'UPDATE pending_signins SET expires_at = expires_at - 660000');
    assert.equal((await enter(browser, otp(person.seed))).path, '/login');
    assert.equal(await isIn(browser), false);
});

test('with a cookie, dangerous tools ask for a fresh proof; keys are not asked', async () => {
    const person = await makePerson('dangerous');
    const { browser } = person;
    const args = { organization_id: org.org_id, name: 'by cookie' };
    const made = await byCookie(browser, 'API_KEY_CREATE', args);
    assert.equal(made.status, 200, JSON.stringify(made.body));
    guard(made.body.key, 'a key made by cookie');
    ageProofs(tulle);
    for (const [tool, more] of [['API_KEY_CREATE', { name: 'n' }], ['API_KEY_ROTATE', { key_id: made.body.item.id }],
        ['ORGANIZATION_MEMBER_UPDATE_ROLE', { user_id: person.id, role: 'member' }], ['ORGANIZATION_POLICY_UPDATE', { require_two_factor: true }]]) {
        const { status, body } = await byCookie(browser, tool, { organization_id: org.org_id, ...more });
        assert.equal(status, 403, `${tool}: ${JSON.stringify(body)}`);
        assert.equal(body.error.code, 'reauthentication_required', tool);
        assert.match(body.error.message, /\/login\/again/);
    }
    assert.equal((await byCookie(browser, 'API_KEY_LIST', { organization_id: org.org_id })).status, 200);
    await browser.open('/account');
    const page = await browser.submit('/account/keys');
    assert.equal(page.path, '/login/again', 'the page asks, too');
    assert.equal((await browser.submit('/login/again', { password: person.password })).path, '/account');
    const again = await byCookie(browser, 'API_KEY_CREATE', args);
    assert.equal(again.status, 200, JSON.stringify(again.body));
    guard(again.body.key, 'a second key made by cookie');
    const byKey = await tulle.use('API_KEY_CREATE', { name: 'by key' }, { key: again.body.key });
    guard(byKey.key, 'a key made by a key');
});

test('an organization that requires two factors lets nobody act with one', async () => {
    const strict = await tulle.makeOrg('strict');
    const person = await makePerson('required');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'admin' }, strict);
    const list = () => byCookie(person.browser, 'ORGANIZATION_MEMBER_LIST', { organization_id: strict.org_id });
    assert.equal((await list()).status, 200);
    await tulle.use('ORGANIZATION_POLICY_UPDATE', { require_two_factor: true }, strict);
    const refused = await list();
    assert.equal(refused.status, 403, JSON.stringify(refused.body));
    assert.match(refused.body.error.message, /two factors/);
    assert.equal((await byCookie(person.browser, 'ORGANIZATION_MEMBER_LIST', { organization_id: org.org_id })).status, 200, 'elsewhere nothing changes');
    const sent = await person.browser.open('/login/again?second=1&return_to=/account');
    assert.equal(sent.path, '/account/security', 'who has no factor is sent to make one');
    assert.match(sent.text, /asks for two factors/);
    await setUpApp(person);
    assert.equal((await list()).status, 200, 'setting it up proves it');
});
