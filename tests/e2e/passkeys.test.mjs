// Passkeys in Debian's Chromium with its virtual authenticator, and what an attacker would send instead. The numbers are rows
// of the abuse matrix (tests/abuse-rows.md).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { Browser } from './lib/browser.mjs';
import { startChromium } from './lib/chromium.mjs';
import { plant } from './lib/secrets.mjs';
import { ageProofs, sql } from './lib/store.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, chromium, origin;
before(async () => {
    [tulle, chromium] = await Promise.all([startTulle(), startChromium()]);
    origin = `http://localhost:${tulle.port}`;
});
after(async () => {
    await chromium?.close();
    await tulle?.end();
});

async function makePerson(name) {
    const email = `${name}@passkeys.example`;
    const password = plant(`password of ${email}`);
    const { code, stderr, stdout } = await tulle.cli(['user', 'create', '--email', email, '--password-stdin'], { stdin: `${password}\n` });
    assert.equal(code, 0, stderr);
    return { email, password, id: stdout.trim() };
}

const path = (page) => new URL(page.url()).pathname;
const button = (page, name) => page.getByRole('button', { name, exact: true });
const press = async (page, name, to) => {
    await Promise.all([page.waitForURL((url) => url.pathname === to), button(page, name).click()]);
};

/** A page with an authenticator in it: {page, keys()}. */
async function withAuthenticator(options = {}) {
    const person = await chromium.newPerson({ scripts: true });
    const page = await person.page();
    const cdp = await person.context.newCDPSession(page);
    await cdp.send('WebAuthn.enable');
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
        options: {
            protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
            automaticPresenceSimulation: true, ...options,
        },
    });
    const keys = async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials;
    return { person, page, cdp, authenticatorId, keys };
}

async function signIn(page, { email, password }) {
    await page.goto(`${origin}/login`);
    await page.getByLabel('E-mail address').fill(email);
    if (!await page.getByLabel('Password').isVisible()) await button(page, 'Continue').click();
    await page.getByLabel('Password').fill(password);
    await Promise.all([page.waitForURL((url) => !url.pathname.startsWith('/login') || url.pathname === '/login/second'), button(page, 'Sign in').click()]);
}

async function register(page, name) {
    await page.goto(`${origin}/account/security`);
    await page.getByLabel('Name of the new passkey').fill(name);
    await Promise.all([page.waitForEvent('load'), button(page, 'Add a passkey').click()]);
}

const who = async (page) => (await (await page.context().request.get(`${origin}/api/session`)).json()).user?.email;

test('a passkey is added, named, signs in alone as two factors, and is removed', async () => {
    const ada = await makePerson('ada');
    const { person, page, keys } = await withAuthenticator();
    await signIn(page, ada);
    await page.goto(`${origin}/account/security`);
    await person.look(page, 'security-empty');
    await register(page, 'Laptop');
    assert.match(await page.locator('main').innerText(), /Recovery codes/);
    await person.look(page, 'recovery-codes');
    const [key] = await keys();
    assert.equal(key.rpId, 'localhost');
    assert.equal(key.isResidentCredential, true);
    await page.getByRole('link', { name: 'I have kept them' }).click();
    await page.getByLabel('Another name for Laptop').fill('My <laptop>');
    await press(page, 'Rename', '/account/security');
    assert.match(await page.locator('main').innerText(), /My <laptop>/);
    await person.look(page, 'security-passkey');

    await page.goto(`${origin}/account`);
    await person.look(page, 'account-with-security');
    await press(page, 'Sign out', '/login');
    await person.look(page, 'login-with-passkey');
    await press(page, 'Sign in with a passkey', '/account');
    assert.equal(await who(page), ada.email);
    const [session] = sql(tulle, `SELECT proof, two_factor FROM browser_sessions WHERE user_id = '${ada.id}'`);
    assert.equal(session.proof, 'passkey');
    assert.equal(Number(session.two_factor), 1);

    ageProofs(tulle);
    await page.goto(`${origin}/account/security`);
    assert.equal(path(page), '/login/again');
    await person.look(page, 'again');
    await press(page, 'Use a passkey', '/account/security');
    await press(page, 'Remove My <laptop>', '/account/security');
    assert.match(await page.locator('main').innerText(), /passkey is removed/);
    await page.goto(`${origin}/logout`);
    await press(page, 'Sign out', '/login');
    await button(page, 'Sign in with a passkey').click();
    await page.getByText('That passkey did not work.').waitFor();
    person.assertQuiet();
});

test('a passkey is the second factor of a password; one that does not verify its user is no more than that', async () => {
    const bob = await makePerson('bob');
    const { person, page } = await withAuthenticator({ hasUserVerification: false, isUserVerified: false, hasResidentKey: false, transport: 'usb' });
    await signIn(page, bob);
    await register(page, 'Security key');
    await page.goto(`${origin}/logout`);
    await press(page, 'Sign out', '/login');
    await signIn(page, bob);
    assert.equal(path(page), '/login/second');
    await person.look(page, 'second-passkey');
    assert.equal(await who(page), undefined);
    await press(page, 'Use a passkey', '/account');
    assert.equal(await who(page), bob.email);
});

test('the pages of an app, seen', async () => {
    const cyd = await makePerson('cyd');
    const person = await chromium.newPerson();
    const page = await person.page();
    await signIn(page, cyd);
    await page.goto(`${origin}/account/security`);
    await button(page, 'Set up an app').click();
    await page.getByText('Scan this').waitFor();
    await person.look(page, 'security-app');
    await page.getByLabel('The six digits').fill('000000');
    await button(page, 'Turn it on').click();
    await page.getByRole('alert').waitFor();
    await person.look(page, 'security-app-wrong');
});

// ---- an authenticator of an attacker's own ----

const sha = (bytes) => createHash('sha256').update(bytes).digest();
const b64 = (bytes) => Buffer.from(bytes).toString('base64url');
const head = (major, n) => (n < 24 ? Buffer.from([(major << 5) | n]) : n < 256 ? Buffer.from([(major << 5) | 24, n]) : Buffer.from([(major << 5) | 25, n >> 8, n & 255]));
function cbor(value) {
    if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
    if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
    if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
    return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, item]) => [cbor(key), cbor(item)])]);
}

/** A key pair that says whatever it is told to. */
class Forger {
    constructor() {
        this.pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const { x, y } = this.pair.publicKey.export({ format: 'jwk' });
        this.cose = new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, 'base64url')], [-3, Buffer.from(y, 'base64url')]]);
        this.id = sha(JSON.stringify([x, y]));
        this.count = 0;
    }

    data({ rpId = 'localhost', flags = 0x05, count = ++this.count, more = [] } = {}) {
        const number = Buffer.alloc(4);
        number.writeUInt32BE(count);
        return Buffer.concat([sha(rpId), Buffer.from([flags]), number, ...more]);
    }

    client(type, challenge, { origin: from = origin, ...more } = {}) {
        return Buffer.from(JSON.stringify({ type, challenge, origin: from, crossOrigin: false, ...more }));
    }

    registration(challenge, { key = cbor(this.cose), object, client = {}, type = 'webauthn.create', ...how } = {}) {
        const length = Buffer.from([this.id.length >> 8, this.id.length & 255]);
        const authData = this.data({ flags: 0x45, ...how, more: [Buffer.alloc(16), length, this.id, key] });
        return {
            client_data: b64(this.client(type, challenge, client)),
            attestation: b64(object ?? cbor(new Map([['fmt', 'none'], ['attStmt', new Map()], ['authData', authData]]))),
        };
    }

    assertion(challenge, { handle = '', id = this.id, type = 'webauthn.get', client = {}, ...how } = {}) {
        const data = this.data(how);
        const json = this.client(type, challenge, client);
        return {
            credential_id: b64(id), client_data: b64(json), authenticator_data: b64(data), user_handle: handle,
            signature: b64(sign('sha256', Buffer.concat([data, sha(json)]), this.pair.privateKey)),
        };
    }
}

async function options(browser, purpose) {
    const { csrf_token } = await browser.session();
    const answer = await browser.request('/login/passkey/options', { method: 'POST', body: new URLSearchParams({ csrf_token, purpose }).toString() });
    return { status: answer.status, ...JSON.parse(answer.html), csrf_token };
}
const post = (browser, to, fields) => browser.request(to, { method: 'POST', body: new URLSearchParams(fields).toString() });

/** A person signed in with a password, and a forger registered as their passkey. */
async function withForger(name) {
    const person = await makePerson(name);
    const browser = new Browser(origin);
    await browser.signIn(person.email, person.password);
    const forger = new Forger();
    const { challenge, csrf_token, user } = await options(browser, 'register');
    const done = await post(browser, '/account/security/passkeys', { csrf_token, name: 'Forged', ...forger.registration(challenge) });
    assert.equal(done.status, 200, done.text);
    return { ...person, browser, forger, handle: user.id };
}

async function tryIn(forger, how = {}, change = (fields) => fields) {
    const browser = new Browser(origin);
    const { challenge, csrf_token } = await options(browser, 'signin');
    const answer = await post(browser, '/login/passkey', { csrf_token, return_to: '/account', ...change(forger.assertion(challenge, how)) });
    return { status: answer.status, isIn: (await browser.session()).user !== null, browser, challenge, text: answer.text };
}

test('row 269: another origin, site, type, challenge, or no user verification is refused', async () => {
    const { forger, handle } = await withForger('row269');
    const good = await tryIn(forger, { handle });
    assert.deepEqual([good.status, good.isIn], [303, true], good.text);
    const bad = {
        'another origin': { client: { origin: 'https://evil.example' } },
        'another scheme': { client: { origin: origin.replace('http:', 'https:') } },
        'a longer origin': { client: { origin: `${origin}.evil.example` } },
        'a frame': { client: { crossOrigin: true } },
        'another site': { rpId: 'evil.example' },
        'of a registration': { type: 'webauthn.create' },
        'nobody there': { flags: 0x04 },
        'not verified': { flags: 0x01 },
        'a challenge of nobody': { client: { challenge: b64(sha('mine')) } },
    };
    for (const [what, how] of Object.entries(bad)) {
        const { status, isIn } = await tryIn(forger, { handle, ...how });
        assert.deepEqual([status, isIn], [401, false], what);
    }
    // a challenge once more; one that is too old; one of another browser
    const once = await tryIn(forger, { handle });
    const again = await post(once.browser, '/login/passkey', { csrf_token: (await once.browser.session()).csrf_token, ...forger.assertion(once.challenge, { handle }) });
    assert.equal(again.status, 401);
    const late = await tryIn(forger, { handle }, (fields) => {
        sql(tulle, 'UPDATE passkey_challenges SET expires_at = expires_at - 360000');
        return fields;
    });
    assert.deepEqual([late.status, late.isIn], [401, false]);
    const lender = new Browser(origin);
    const lent = await options(lender, 'signin');
    const elsewhere = await tryIn(forger, { handle, client: { challenge: lent.challenge } });
    assert.deepEqual([elsewhere.status, elsewhere.isIn], [401, false]);
    // a challenge for one purpose serves no other
    const { challenge, csrf_token } = await options(lender, 'signin');
    assert.equal((await post(lender, '/login/again', { csrf_token, ...forger.assertion(challenge, { handle }) })).status, 303, 'nobody is signed in there');
});

test('row 270: a counter that goes back, a key of another person, a changed signature', async () => {
    const { forger, handle } = await withForger('row270');
    const other = await withForger('row270-other');
    assert.equal((await tryIn(forger, { handle, count: 7 })).isIn, true);
    for (const count of [7, 6, 0]) assert.deepEqual((({ status, isIn }) => [status, isIn])(await tryIn(forger, { handle, count })), [401, false], `counter ${count}`);
    assert.equal((await tryIn(forger, { handle, count: 8 })).isIn, true);
    forger.count = 8;
    const cases = {
        'the handle of another': { handle: other.handle },
        'no handle': { handle: '' },
        'the id of another': { handle: other.handle, id: other.forger.id },
        'an id of nobody': { handle, id: sha('nobody') },
    };
    for (const [what, how] of Object.entries(cases)) assert.deepEqual((({ status, isIn }) => [status, isIn])(await tryIn(forger, how)), [401, false], what);
    const changed = await tryIn(forger, { handle }, (fields) => ({ ...fields, signature: fields.signature.replace(/^M/, 'N') }));
    assert.deepEqual([changed.status, changed.isIn], [401, false]);
    // as the second factor of another person
    const browser = new Browser(origin);
    assert.equal((await browser.signIn(other.email, other.password)).path, '/login/second');
    const { challenge, csrf_token } = await options(browser, 'second');
    const page = await post(browser, '/login/second', { csrf_token, ...forger.assertion(challenge, { handle }) });
    assert.equal(page.status, 401);
    assert.equal((await browser.session()).user, null);
    // registered once, it belongs to one person
    const reg = await options(other.browser, 'register');
    const taken = await post(other.browser, '/account/security/passkeys', { csrf_token: reg.csrf_token, name: 'Taken', ...forger.registration(reg.challenge) });
    assert.ok([409, 303].includes(taken.status), taken.text);
    const [{ n }] = sql(tulle, `SELECT count(*) AS n FROM passkeys WHERE user_id = '${other.id}'`);
    assert.equal(Number(n), 1);
});

test('row 271: CBOR that is cut, deep, endless, of strange keys: 400 and nothing else', async () => {
    const person = await makePerson('row271');
    const browser = new Browser(origin);
    await browser.signIn(person.email, person.password);
    const forger = new Forger();
    const whole = Buffer.from(forger.registration('x').attestation, 'base64url');
    const withKey = (key) => ({ key });
    const cases = [
        ...[0, 1, 10, 36, 37, 60, whole.length - 1].map((n) => ({ object: whole.subarray(0, n) })),
        { object: Buffer.concat([whole, Buffer.from([0])]) },
        { object: Buffer.concat([Buffer.alloc(1000, 0x81), Buffer.from([0])]) },
        { object: Buffer.from('5b8000000000000000', 'hex') },
        { object: Buffer.from('bf61616161ff', 'hex') },
        withKey(cbor(new Map([...forger.cose, [3, -65535]]))),
        withKey(cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.alloc(0)], [-3, Buffer.alloc(0)]]))),
        withKey(cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.alloc(32, 1)], [-3, Buffer.alloc(32, 1)]]))),
        withKey(Buffer.alloc(0)),
    ];
    for (const how of cases) {
        const { challenge, csrf_token } = await options(browser, 'register');
        const answer = await post(browser, '/account/security/passkeys', { csrf_token, name: 'Odd', ...forger.registration(challenge, how) });
        assert.equal(answer.status, 400, `${JSON.stringify(how).slice(0, 100)}: ${answer.text}`);
    }
    for (const fields of [{ client_data: '!', attestation: 'AAAA' }, { attestation: 'AAAA' }, {}]) {
        const { csrf_token } = await options(browser, 'register');
        assert.equal((await post(browser, '/account/security/passkeys', { csrf_token, name: 'Odd', ...fields })).status, 400);
    }
    assert.deepEqual(sql(tulle, `SELECT id FROM passkeys WHERE user_id = '${person.id}'`), []);
});

test('row 272: no passkey is registered on an old proof, for nobody, or with the challenge of another purpose', async () => {
    const person = await makePerson('row272');
    const browser = new Browser(origin);
    assert.equal((await options(browser, 'register')).status, 401);
    await browser.signIn(person.email, person.password);
    const forger = new Forger();
    const again = await options(browser, 'again');
    const wrong = await post(browser, '/account/security/passkeys', { csrf_token: again.csrf_token, name: 'x', ...forger.registration(again.challenge) });
    assert.equal(wrong.status, 401, wrong.text);
    const { challenge, csrf_token } = await options(browser, 'register');
    ageProofs(tulle);
    assert.equal((await options(browser, 'register')).status, 403);
    const late = await post(browser, '/account/security/passkeys', { csrf_token, name: 'x', ...forger.registration(challenge) });
    assert.equal(late.status, 303);
    assert.equal(late.headers.location, '/login/again?return_to=/account/security');
    assert.deepEqual(sql(tulle, `SELECT id FROM passkeys WHERE user_id = '${person.id}'`), []);
    assert.equal((await options(browser, 'nonsense')).status, 400);
    const bare = await browser.request('/login/passkey/options', { method: 'POST', body: 'purpose=signin' });
    assert.equal(bare.status, 403, 'a form of another site has no token');
});
