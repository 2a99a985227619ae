// Links in mails that sign in, set a password, make an account or prove an address. None is used up by following it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startTulle } from './lib/tulle.mjs';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { send } from './lib/http.mjs';
import { Dns } from './lib/dns.mjs';
import { startSmtp } from './lib/mail.mjs';
import { loopback, makeClient, makeOwner, makePerson, obtainTokens, refresh, signedIn } from './lib/oauth.mjs';
import { otp } from './lib/otp.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { LyingProvider } from './lib/sso.mjs';

const firefox = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
const clock = makeClock();
let tulle, sink, dns, provider, owner;
before(async () => {
    [sink, dns, provider] = await Promise.all([startSmtp(), new Dns().start(), new LyingProvider().start()]);
    tulle = await startTulle({ env: { ...clock.env, DNS_SERVER: dns.address, SMTP_URL: sink.url, MAIL_FROM: 'Tulle <tulle@mesh.example>', ALLOW_REGISTRATION: 'true' } });
    owner = await makeOwner(tulle, 'acme', '--operator');
});
after(async () => {
    await tulle?.end();
    await Promise.all([sink?.close(), dns?.end(), provider?.end()]);
});

/** Through the first step to the ways in. */
async function ways(email, returnTo) {
    const browser = new Browser(tulle.url);
    await browser.open(`/login${returnTo ? `?return_to=${encodeURIComponent(returnTo)}` : ''}`);
    await browser.submit('/login', { email });
    assert.equal(browser.page.status, 200, browser.page.html);
    return browser;
}

/** A browser that has asked for a mail, and the mail. */
async function asked(email, action = '/login/link', returnTo) {
    const browser = await ways(email, returnTo);
    await browser.submit(action, {}, { headers: firefox });
    assert.match(browser.page.text, /Look into your mail/);
    return { browser, mail: await sink.next(email) };
}

const who = async (browser) => (await browser.session()).user?.email ?? null;
const formsOf = (page) => page.forms().map(({ action }) => action);

test('the first step asks for an address only; the second offers what applies, the same for everybody', async () => {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    assert.ok(!formsOf(browser.page).some((action) => /link|reset/.test(action)));
    assert.ok(!('password' in browser.page.form('/login').fields));
    await browser.submit('/login', { email: '  ' });
    assert.equal(browser.page.status, 400);
    const pages = [];
    for (const email of [owner.email, 'nobody@acme.example']) {
        const one = await ways(email);
        pages.push(one.page.html.replaceAll(email, 'X').replaceAll(/value="[0-9a-f]{64}"/g, ''));
        assert.deepEqual(formsOf(one.page), ['/login', '/login/reset', '/login/link']);
    }
    assert.equal(pages[0], pages[1]);
});

test('row 205: GET and HEAD of a link ten times change nothing; its button signs in, once (row 207)', async () => {
    const person = await makePerson(tulle, 'ada@links.example');
    const { browser, mail } = await asked(person.email, '/login/link', '/account?x=1');
    assert.equal(mail.subject, 'Your link to sign in to Tulle');
    assert.match(mail.text, /Firefox on Linux/);
    for (let i = 0; i < 10; i++) {
        const page = await browser.request(mail.path, { method: i % 2 ? 'HEAD' : 'GET' });
        assert.equal(page.status, 200);
        assert.match(page.headers['cache-control'], /no-store/);
        assert.equal(page.headers['referrer-policy'], 'same-origin'); // the token goes to no other site
    }
    assert.equal(await who(browser), null);
    await browser.open(mail.path);
    assert.match(browser.page.text, /Sign in as a\*\*\*@links\.example\?/);
    assert.ok(!browser.page.html.includes(person.email), 'the page names nobody');
    const parallel = await Promise.all(Array.from({ length: 5 }, () => {
        const { fields } = browser.page.form(mail.path);
        return browser.request(mail.path, { method: 'POST', body: new URLSearchParams(fields).toString() });
    }));
    assert.deepEqual(parallel.map((page) => page.status).sort(), [303, 404, 404, 404, 404]);
    assert.equal(parallel.find((page) => page.status === 303).headers.location, '/account?x=1');
    const sessions = await tulle.use('SESSION_LIST', {}, await signedKey(person));
    assert.equal(sessions.items.length, 1, 'one session');
    assert.match((await new Browser(tulle.url).open(mail.path)).text, /used already/);
});

/** A key of somebody in an organization of their own. */
async function signedKey({ email }) {
    const slug = `of-${email.split('@')[0]}`;
    await tulle.must('org', 'create', '--name', slug, '--slug', slug, '--owner', email);
    return { key: await tulle.makeKey(slug, email) };
}

test('row 206: the button without the form\'s cookie or token is refused; another browser must say that it was them', async () => {
    const person = await makePerson(tulle, 'bob@links.example');
    const { browser, mail } = await asked(person.email);
    const bare = await send(tulle.url + mail.path, { body: '', headers: { 'content-type': 'application/x-www-form-urlencoded', origin: tulle.url } });
    assert.equal(bare.status, 403);
    const other = new Browser(tulle.url);
    await other.open(mail.path);
    await other.submit(mail.path);
    assert.equal(other.page.status, 200);
    assert.match(other.page.text, /Was it you who asked\?/);
    assert.match(other.page.text, /Firefox on Linux ?, from the address 127\.0\.0\.1/);
    assert.equal(await who(other), null, 'not yet');
    await other.submit(mail.path);
    assert.equal(await who(other), person.email);
    assert.equal(await who(browser), null, 'the one that asked is not signed in');
});

test('row 208: after 15 minutes the link is dead, and says what to do', async () => {
    const person = await makePerson(tulle, 'cy@links.example');
    const { browser, mail } = await asked(person.email);
    clock.advance(14 * 60);
    assert.equal((await browser.open(mail.path)).status, 200);
    clock.advance(60 + 1);
    const page = await browser.open(mail.path);
    assert.equal(page.status, 404);
    assert.match(page.text, /ask for a new one/);
});

test('row 209: a newer link kills the older', async () => {
    const person = await makePerson(tulle, 'di@links.example');
    const first = await asked(person.email);
    const second = await asked(person.email);
    assert.notEqual(first.mail.token, second.mail.token);
    assert.equal((await first.browser.open(first.mail.path)).status, 404);
    assert.equal((await second.browser.open(second.mail.path)).status, 200);
});

test('row 210: a link that sets a password does not sign in, and the reverse; nor is either an invitation', async () => {
    const person = await makePerson(tulle, 'ed@links.example');
    const reset = await asked(person.email, '/login/reset');
    const magic = await asked(person.email);
    for (const path of [`/login/magic/${reset.mail.token}`, `/login/reset/${magic.mail.token}`, `/signup/${magic.mail.token}`, `/invite/${reset.mail.token}`,
        `/setup?token=${reset.mail.token}`]) {
        const page = await magic.browser.open(path);
        assert.ok(page.status === 404 || page.path !== new URL(path, tulle.url).pathname, `${path}: ${page.status}`);
        assert.equal(await who(magic.browser), null);
    }
});

test('row 211: known and unknown addresses get the same status, body and headers; row 212: the fourth within 15 minutes is answered the same and sends nothing', async () => {
    const person = await makePerson(tulle, 'flo@links.example');
    const unknown = 'nobody@links.example';
    const disabled = 'gone@links.example';
    const answers = {};
    for (const email of [person.email, unknown, disabled])
        for (let i = 0; i < 4; i++) {
            const browser = await ways(email);
            const { fields } = browser.page.form('/login/link');
            const page = await browser.request('/login/link', { method: 'POST', body: new URLSearchParams(fields).toString() });
            const { date, 'x-request-id': id, 'set-cookie': cookies, ...headers } = page.headers;
            assert.ok(date && id && cookies.length > 0);
            (answers[email] ??= []).push({ status: page.status, headers, cookies: cookies.length, html: page.html.replaceAll(email, 'X').length });
        }
    for (const email of [unknown, disabled]) assert.deepEqual(answers[email].map((one) => ({ ...one, headers: { ...one.headers, 'content-length': 0 } })),
        answers[person.email].map((one) => ({ ...one, headers: { ...one.headers, 'content-length': 0 } })));
    assert.equal(new Set(answers[person.email].map((one) => JSON.stringify(one))).size, 1);
    const last = await makePerson(tulle, 'last@links.example'); // the queue is worked off in order
    await asked(last.email);
    assert.equal(sink.count(person.email), 3);
    assert.equal(sink.count(unknown) + sink.count(disabled), 0);
    clock.advance(15 * 60 + 1);
    await asked(person.email);
});

test('row 213: an address with a line break sends nothing anywhere', async () => {
    const before = sink.mails.length;
    for (const email of ['a@b.test\r\nBcc: x@y.test', 'a@b.test\nBcc: x@y.test', 'a@b.test,x@y.test', 'a@b.test>\r\nRCPT TO:<x@y.test']) {
        const browser = await ways(owner.email);
        const page = await browser.submit('/login/link', { email });
        assert.equal(page.status, 400, email);
    }
    const { mail } = await asked(owner.email);
    assert.equal(sink.mails.indexOf(mail), before, 'no other mail came');
    assert.ok(!sink.log.some((line) => line.includes('x@y.test')));
});

test('rows 214 and 215: the link leads to BASE_URL whatever Host says; a foreign return_to is forgotten', async () => {
    const person = await makePerson(tulle, 'gus@links.example');
    const browser = await ways(person.email);
    const { fields } = browser.page.form('/login/link');
    const evil = await browser.request('/login/link', { method: 'POST', body: new URLSearchParams(fields).toString(), headers: { host: 'evil.example' } });
    assert.ok(evil.status >= 400);
    await browser.submit('/login/link', {}, { headers: { 'x-forwarded-host': 'evil.example' } });
    const mail = await sink.next(person.email);
    assert.ok(mail.link.startsWith(`http://localhost:${tulle.port}/login/magic/`), mail.link);
    for (const to of ['https://evil.example', '//evil.example', '/%09/evil.example', '/\\evil.example', 'javascript:alert(1)']) {
        clock.advance(15 * 60 + 1);
        const one = await ways(person.email);
        await one.submit('/login/link', { return_to: to });
        const { path } = await sink.next(person.email);
        await one.open(path);
        const { fields: form } = one.page.form(path);
        const page = await one.request(path, { method: 'POST', body: new URLSearchParams(form).toString() });
        assert.equal(page.status, 303);
        assert.ok(['/', '/%09/evil.example'].includes(page.headers.location), `${to} became ${page.headers.location}`);
        assert.equal(new URL(page.headers.location, tulle.url).origin, tulle.url);
    }
});

test('row 220: a new password ends sessions and refresh tokens; the old one is dead, the mail goes to the stored address, a notice follows', async () => {
    const person = await makeOwner(tulle, 'reset-co');
    const elsewhere = await signedIn(tulle, person);
    const client = await makeClient(tulle);
    const tokens = await obtainTokens(tulle, elsewhere, client, { redirect_uri: loopback, scope: 'mcp offline_access' });
    const browser = await ways(person.email.toUpperCase());
    await browser.submit('/login/reset');
    const mail = await sink.next(person.email);
    await browser.open(mail.path);
    let page = await browser.submit(mail.path, { password: 'short' });
    assert.equal(page.status, 400);
    const password = plant('the password set anew');
    page = await browser.submit(mail.path, { password });
    assert.equal(page.path, '/account');
    assert.equal(await who(browser), person.email);
    assert.equal(await who(elsewhere), null, 'other browsers are out');
    assert.equal((await refresh(tulle, client, tokens.refresh_token)).status, 400);
    assert.equal((await new Browser(tulle.url).signIn(person.email, person.password)).status, 401);
    assert.equal((await signedIn(tulle, { ...person, password })).page.path, '/account');
    assert.equal((await sink.next(person.email)).subject, 'Your password for Tulle was changed');
    assert.equal((await new Browser(tulle.url).open(mail.path)).status, 404);
});

test('row 220, too: a second factor is still asked for, after a link that signs in as after a new password', async () => {
    const person = await makePerson(tulle, 'jo@links.example');
    const browser = await signedIn(tulle, person);
    await browser.open('/account/security');
    const shown = await browser.submit('/account/security/app');
    const seed = guard(/<p class="secret">([A-Z2-7]{32})<\/p>/.exec(shown.html)?.[1], 'a seed');
    assert.equal((await browser.submit('/account/security/app/confirm', { code: otp(seed, 0, clock.now()) })).status, 200);
    for (const [action, values] of [['/login/link', {}], ['/login/reset', { password: plant('a password, and a second factor') }]]) {
        const { browser: other, mail } = await asked(person.email, action);
        await other.open(mail.path);
        await other.submit(mail.path, values);
        assert.equal(other.page.path, '/login/second');
        assert.equal(await who(other), null);
        clock.advance(30); // a code works once
        await other.submit('/login/second', { code: otp(seed, 0, clock.now()) });
        assert.equal(await who(other), person.email);
    }
});

test('row 221: where a domain must use its provider the answer is the same, and the mail says so, without a link', async () => {
    const corp = await makeOwner(tulle, 'corp');
    const person = await makePerson(tulle, 'ada@corp.test');
    const { item: idp } = await tulle.use('ORGANIZATION_SSO_CREATE',
        { type: 'oidc', name: 'Corp', issuer: provider.issuer, client_id: 'tulle', client_secret: guard('c1ient-secret-of-the-link-test', 'client secret') }, corp);
    const before = await asked(person.email);
    const other = await ways('stranger@links.example');
    const { fields } = other.page.form('/login/reset');
    const { item } = await tulle.use('ORGANIZATION_DOMAIN_ADD', { domain: 'corp.test', provider_id: idp.id, forced: true }, corp);
    dns.set(item.txt_name, item.txt_value);
    await tulle.use('ORGANIZATION_DOMAIN_VERIFY', { domain: 'corp.test' }, corp);
    for (const action of ['/login/reset', '/login/link']) {
        const pages = [];
        for (const email of [person.email, 'nobody@corp.test', 'stranger@links.example'])
            pages.push(await other.request(action, { method: 'POST', body: new URLSearchParams({ ...fields, email }).toString() }));
        assert.deepEqual(pages.map(({ status }) => status), [200, 200, 200]);
        const mail = await sink.next(person.email);
        assert.match(mail.text, /signs in with the provider of its organization/);
        assert.equal(mail.path, '/login');
    }
    await before.browser.open(before.mail.path);
    assert.equal((await before.browser.submit(before.mail.path)).status, 403, 'a link from before');
    assert.equal(await who(before.browser), null);
});

test('row 216: wrong passwords elsewhere do not lock a person out of the browser they know', async () => {
    const person = await makePerson(tulle, 'mo@links.example');
    const known = await signedIn(tulle, person);
    await known.open('/account');
    await known.submit('/logout');
    for (let i = 0; i < 6; i++) await new Browser(tulle.url).signIn(person.email, 'wrong password');
    assert.equal((await new Browser(tulle.url).signIn(person.email, person.password)).status, 429);
    await known.signIn(person.email, person.password);
    assert.equal(await who(known), person.email);
    await known.open('/account');
    await known.submit('/logout');
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push((await known.signIn(person.email, 'wrong password')).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429], 'but it is counted, too');
});

test('an account that was disabled gets no mail, and a link from before lets nobody in', async () => {
    const person = await makePerson(tulle, 'hal@links.example');
    const magic = await asked(person.email);
    const reset = await asked(person.email, '/login/reset');
    await magic.browser.open(magic.mail.path);
    await reset.browser.open(reset.mail.path);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' }, owner);
    await disable(person);
    assert.equal((await magic.browser.submit(magic.mail.path)).status, 403);
    assert.equal((await reset.browser.submit(reset.mail.path, { password: plant('never used') })).status, 403);
    assert.equal(await who(magic.browser), null);
    const browser = await ways(person.email);
    await browser.submit('/login/link');
    await asked((await makePerson(tulle, 'ike@links.example')).email);
    assert.equal(sink.count(person.email), 2);
});

/** By an operator. */
async function disable({ user_id }) {
    const { status, text } = await tulle.tool('USER_UPDATE', { user_id, disabled: true }, owner);
    assert.equal(status, 200, text);
}

test('an account is made by whoever reads the address\'s mail; somebody who has one is told so, by mail only', async () => {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    assert.match(browser.page.html, /href="\/signup"/);
    await browser.open('/signup');
    await browser.submit('/signup', { email: 'New.Person@Links.example' });
    assert.match(browser.page.text, /Look into your mail/);
    const mail = await sink.next('new.person@links.example');
    await browser.open(mail.path);
    const password = plant('the password of the new person');
    await browser.submit(mail.path, { name: 'New', password });
    assert.equal(await who(browser), 'new.person@links.example');
    assert.equal((await new Browser(tulle.url).open(mail.path)).status, 404, 'once');
    const again = new Browser(tulle.url);
    await again.open('/signup');
    await again.submit('/signup', { email: 'new.person@links.example' });
    assert.match(again.page.text, /Look into your mail/);
    const told = await sink.next('new.person@links.example');
    assert.match(told.text, /has an account already/);
    assert.equal(told.path, '/login');
});

test('a new account, made in another browser than asked for it, does not go on to where that one wanted', async () => {
    for (const [name, isHere] of [['here', true], ['elsewhere', false]]) {
        const asking = new Browser(tulle.url);
        await asking.open('/signup?return_to=/account/identities');
        await asking.submit('/signup', { email: `${name}@signup.example` });
        const mail = await sink.next(`${name}@signup.example`);
        const browser = isHere ? asking : new Browser(tulle.url);
        await browser.open(mail.path);
        const page = await browser.submit(mail.path, { name, password: plant(`the password of ${name} who signs up`) });
        assert.equal(page.path === '/account/identities', isHere, page.path);
    }
});

test('another address: nothing changes until its link is followed by the person; the old address hears of it', async () => {
    const person = await makePerson(tulle, 'kim@links.example');
    const browser = await signedIn(tulle, person);
    const other = await signedIn(tulle, person);
    const stranger = await signedIn(tulle, owner);
    await browser.open('/account');
    await browser.submit('/account/email', { email: 'kim.new@links.example' });
    const mail = await sink.next('kim.new@links.example');
    assert.equal(await who(browser), person.email);
    assert.equal((await stranger.open(mail.path)).status, 403);
    const nobody = new Browser(tulle.url);
    assert.equal((await nobody.open(mail.path)).path, '/login');
    await browser.open(mail.path);
    await browser.submit(mail.path);
    assert.equal(await who(browser), 'kim.new@links.example');
    assert.equal(await who(other), null, 'other browsers are out');
    assert.equal((await sink.next(person.email)).subject, 'Your address for Tulle was changed');
    assert.equal((await new Browser(tulle.url).signIn(person.email, person.password)).status, 401);
    assert.equal((await signedIn(tulle, { ...person, email: 'kim.new@links.example' })).page.path, '/account');
});

test('an invitation is mailed, and the tool answers its address still', async () => {
    const { url } = await tulle.use('ORGANIZATION_INVITATION_CREATE', { email: 'guest@links.example', role: 'member' }, owner);
    const mail = await sink.next('guest@links.example');
    assert.equal(mail.subject, 'You are invited to The acme');
    assert.equal(mail.link.split('?')[0], url);
    const browser = new Browser(tulle.url);
    await browser.open(mail.path);
    await browser.submit(new URL(url).pathname, { name: 'Guest', password: plant('the password of the guest') });
    assert.equal(await who(browser), 'guest@links.example');
});

test('a sign-in from a browser not seen before is worth a mail; the first one, and known ones, are not', async () => {
    const person = await makePerson(tulle, 'lea@links.example');
    const first = await signedIn(tulle, person);
    await signedIn(tulle, person); // no cookie, but the same program from the same place
    await first.open('/account');
    await first.submit('/logout');
    const strange = new Browser(tulle.url);
    await strange.open('/login');
    await strange.submit('/login', { email: person.email, password: person.password }, { headers: firefox });
    const mail = await sink.next(person.email);
    assert.equal(mail.subject, 'New sign-in to Tulle');
    assert.match(mail.text, /Browser: Firefox on Linux\. Address: 127\.0\.0\.1\./);
    await strange.open('/account');
    await strange.submit('/logout');
    await strange.open('/login');
    await strange.submit('/login', { email: person.email, password: person.password });
    await asked(person.email);
    assert.equal(sink.count(person.email), 2, 'the notice, and the link asked for');
});

test('a sign-in by link is in the audit log', async () => {
    const person = await makeOwner(tulle, 'audited-links');
    const { browser, mail } = await asked(person.email);
    await browser.open(mail.path);
    await browser.submit(mail.path);
    await until('the sign-in is recorded', async () => {
        const { items } = await tulle.use('ORGANIZATION_AUDIT_LIST', {}, person);
        return items.some((row) => row.kind === 'auth' && row.method === 'signin' && row.name === 'magic' && row.outcome === 'ok');
    });
});
