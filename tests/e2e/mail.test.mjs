// The mail queue: nothing is lost by a restart or a bad server, nothing is sent twice, nothing goes out in the clear.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareTulle, startTulle } from './lib/tulle.mjs';
import { Browser } from './lib/browser.mjs';
import { until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { makeCertificate } from './lib/https.mjs';
import { startProvider, startSmtp } from './lib/mail.mjs';
import { makePerson } from './lib/oauth.mjs';
import { plant } from './lib/secrets.mjs';

const from = 'Tulle <tulle@mesh.example>';

/** Asks for a link to sign in, as a person does. */
async function ask(tulle, email) {
    const browser = new Browser(tulle.url);
    await browser.open('/login');
    await browser.submit('/login', { email });
    await browser.submit('/login/link');
    assert.match(browser.page.text, /Look into your mail/);
    return browser;
}

const events = (tulle, name) => tulle.logs().filter(({ event }) => event === name);
const delayed = (tulle, n = 1) => until(`${n} delayed mails`, () => events(tulle, 'mail_delayed').length >= n);

describe('a server that fails', () => {
    const clock = makeClock();
    let tulle, sink;
    before(async () => {
        sink = await startSmtp();
        tulle = await startTulle({ env: { ...clock.env, SMTP_URL: sink.url, MAIL_FROM: from } });
    });
    after(async () => {
        await tulle?.end();
        await sink?.close();
    });

    const failures = {
        'a 4xx greeting': ['connect', '421 busy'], 'a 4xx answer to MAIL': ['mail', '451 later'], 'a 4xx answer to RCPT': ['rcpt', '450 greylisted'],
        'a 4xx answer to DATA': ['data', '452 full'], 'a 4xx answer to the mail': ['end', '451 local error'], 'hanging up at once': ['connect', 'drop'],
        'hanging up before the mail': ['data', 'drop'], 'hanging up after the mail': ['end', 'drop'],
    };
    for (const [name, [step, answer]] of Object.entries(failures))
        test(`${name}: the mail is tried again, later each time, and arrives once`, async () => {
            const { email } = await makePerson(tulle, `person${sink.connections}@retry.example`);
            const had = events(tulle, 'mail_delayed').length;
            sink.plan = (at) => (at === step ? answer : undefined);
            await ask(tulle, email);
            await delayed(tulle, had + 1);
            const tried = sink.connections;
            clock.advance(10); // the first pause is at most 7.5 s
            await delayed(tulle, had + 2);
            assert.equal(sink.connections, tried + 1);
            sink.plan = null;
            clock.advance(20);
            const mail = await sink.next(email);
            assert.deepEqual(mail.envelope, { from: 'tulle@mesh.example', to: [email] });
            await until('it is done', () => events(tulle, 'mail_sent').some(({ attempts }) => attempts === 3));
            clock.advance(3600);
            await ask(tulle, email);
            await sink.next(email);
            assert.equal(sink.count(email), 2);
            for (const one of events(tulle, 'mail_delayed')) assert.ok(!/@|magic\//.test(JSON.stringify(one)), 'no address, no link in the log');
        });

    for (const [step, answer] of [['rcpt', '550 no such user'], ['end', '554 refused'], ['mail', '553 not from you']])
        test(`${answer} to ${step}: the mail is given up, the next one goes`, async () => {
            const { email } = await makePerson(tulle, `refused${sink.connections}@retry.example`);
            const had = events(tulle, 'mail_dropped').length;
            sink.plan = (at) => (at === step ? answer : undefined);
            await ask(tulle, email);
            await until('it is dropped', () => events(tulle, 'mail_dropped').length > had);
            sink.plan = null;
            await ask(tulle, email);
            await sink.next(email);
            assert.equal(sink.count(email), 1);
        });

    test('a link that died while its mail waited is not sent', async () => {
        const { email } = await makePerson(tulle, 'late@retry.example');
        const had = events(tulle, 'mail_delayed').length;
        const dropped = events(tulle, 'mail_dropped').length;
        sink.plan = () => '421 down';
        await ask(tulle, email);
        await delayed(tulle, had + 1);
        clock.advance(16 * 60);
        sink.plan = null;
        await until('it is dropped', () => events(tulle, 'mail_dropped').length > dropped);
        assert.equal(sink.count(email), 0);
    });

    test('what waits survives kill -9, sealed; the mail goes out after the next start', async () => {
        const { email } = await makePerson(tulle, 'kept@retry.example');
        const had = events(tulle, 'mail_delayed').length;
        sink.plan = () => '421 down';
        await ask(tulle, email);
        await delayed(tulle, had + 1);
        await ask(tulle, email); // perhaps not even written yet
        await tulle.kill9();
        clock.advance(20);
        sink.plan = null;
        await tulle.serve();
        const mail = await sink.next(email);
        assert.equal(mail.subject, 'Your link to sign in to Tulle');
    });

    test('a mail is handed over when the program stops meanwhile, or after its next start: the stop does not wait for a silent server', async () => {
        const { email } = await makePerson(tulle, 'silent@retry.example');
        const tried = sink.connections;
        sink.plan = () => 'silence';
        await ask(tulle, email);
        await until('the server is asked', () => sink.connections > tried);
        const began = Date.now();
        await tulle.stop();
        assert.ok(Date.now() - began < 25_000, 'well before the hand-over\'s own deadline');
        sink.plan = null;
        clock.advance(4 * 60); // the lease of the sender that went away
        await tulle.serve();
        await sink.next(email);
    });
});

describe('several nodes', { skip: !process.env.TULLE_TEST_POSTGRES && 'one store for several nodes is PostgreSQL' }, () => {
    test('each mail is sent by one of them, once', async () => {
        const sink = await startSmtp();
        const env = { SMTP_URL: sink.url, MAIL_FROM: from, ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };
        const one = await startTulle({ env });
        const two = await startTulle({ env: { ...env, DATABASE_URL: one.env.DATABASE_URL, BASE_URL: `http://localhost:${one.port}` } });
        const people = [];
        for (let i = 0; i < 12; i++) people.push(await makePerson(one, `node${i}@nodes.example`));
        await Promise.all(people.map(({ email }) => ask(one, email)));
        for (const { email } of people) await until(`a mail to ${email}`, () => sink.count(email) > 0);
        const last = await makePerson(one, 'last@nodes.example');
        await ask(one, last.email);
        await sink.next(last.email);
        for (const { email } of people) assert.equal(sink.count(email), 1, email);
        await Promise.all([one.end(), two.end()]);
        await sink.close();
    });
});

describe('TLS and authentication', () => {
    let certificate;
    before(() => { certificate = makeCertificate(); });
    after(() => certificate.remove());

    async function trial({ env, sinkOptions, url, expectMail }) {
        const sink = await startSmtp(sinkOptions);
        const tulle = await startTulle({ env: { MAIL_FROM: from, SMTP_URL: url(sink), ...env } });
        const { email } = await makePerson(tulle, 'tls@tls.example');
        await ask(tulle, email);
        try {
            if (expectMail) return await sink.next(email);
            await delayed(tulle);
            assert.equal(sink.mails.length, 0);
            return { reason: events(tulle, 'mail_delayed')[0].reason, log: sink.log };
        } finally {
            await tulle.end();
            await sink.close();
        }
    }

    test('STARTTLS with a certificate of CA_BUNDLE\'s, and AUTH within it', async () => {
        const password = plant('SMTP password');
        const mail = await trial({
            sinkOptions: { tls: certificate, user: 'mailer', password }, env: { CA_BUNDLE: certificate.bundle },
            url: (sink) => `smtp://mailer:${password}@127.0.0.1:${sink.port}`, expectMail: true,
        });
        assert.deepEqual([mail.isTls, mail.user], [true, 'mailer']);
    });

    test('a user name and password with percent escapes', async () => {
        const mail = await trial({
            sinkOptions: { user: 'me@tls.example', password: 'p:a/ss wörd' },
            url: (sink) => `smtp://me%40tls.example:${encodeURIComponent('p:a/ss wörd')}@127.0.0.1:${sink.port}`, expectMail: true,
        });
        assert.equal(mail.user, 'me@tls.example');
    });

    test('a certificate that nobody vouches for: nothing is sent', async () => {
        const { reason, log } = await trial({ sinkOptions: { tls: certificate }, url: (sink) => sink.url });
        assert.match(reason, /certificate or TLS is not accepted/);
        assert.ok(!log.some((line) => line.startsWith('MAIL')));
    });

    test('a wrong password: the mail waits, and the log does not show it', async () => {
        const { reason } = await trial({ sinkOptions: { user: 'mailer', password: 'right' }, url: (sink) => `smtp://mailer:${plant('wrong SMTP password')}@127.0.0.1:${sink.port}` });
        assert.match(reason, /refuses the user name or password/);
    });

    test('away from loopback nothing is said without TLS', async () => {
        const { networkInterfaces } = await import('node:os');
        const outer = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal);
        if (!outer) return;
        const sink = await startSmtp({ host: '0.0.0.0', user: 'mailer', password: 'x' });
        const tulle = await startTulle({ env: { MAIL_FROM: from, SMTP_URL: `smtp://mailer:${plant('SMTP password without TLS')}@${outer.address}:${sink.port}` } });
        const { email } = await makePerson(tulle, 'clear@tls.example');
        await ask(tulle, email);
        await delayed(tulle);
        assert.match(events(tulle, 'mail_delayed')[0].reason, /offers no TLS/);
        assert.ok(!sink.log.some((line) => /^(AUTH|MAIL)/.test(line)), sink.log.join());
        await tulle.end();
        await sink.close();
    });
});

describe('an e-mail provider over HTTP', () => {
    let provider, tulle, key;
    const clock = makeClock();
    before(async () => {
        key = plant('e-mail provider key');
        provider = await startProvider();
        const prepared = await prepareTulle();
        const file = join(prepared.dataDir, 'auth-config.json');
        writeFileSync(file, JSON.stringify({
            emailProviders: [{ id: 'post', provider: 'resend', config: { apiKey: key, fromEmail: 'Mesh <no-reply@mesh.example>', url: provider.url } }],
            magicLinkConfig: { enabled: true, emailProviderId: 'post' }, inviteEmailProviderId: 'post',
        }));
        tulle = await startTulle({ dataDir: prepared.dataDir, env: { ...clock.env, AUTH_CONFIG: file } });
    });
    after(async () => {
        await tulle?.end();
        await provider?.close();
    });

    test('takes {from, to, subject, text, html}, with the key and a key against repetition', async () => {
        const { email } = await makePerson(tulle, 'ada@provider.example');
        const browser = await ask(tulle, email);
        const mail = await provider.next(email);
        const { method, headers, body } = provider.requests.at(-1);
        assert.equal(method, 'POST');
        assert.equal(headers.authorization, `Bearer ${key}`);
        assert.match(headers['idempotency-key'], /^mail_[0-9a-f]{32}$/);
        assert.deepEqual(Object.keys(body).sort(), ['from', 'html', 'subject', 'text', 'to']);
        assert.deepEqual([body.from, body.to], ['Mesh <no-reply@mesh.example>', [email]]);
        await browser.open(mail.path);
        await browser.submit(mail.path);
        assert.equal((await browser.session()).user.email, email);
    });

    test('is asked again after 429 and 500 with the same key, not after 422', async () => {
        const { email } = await makePerson(tulle, 'bob@provider.example');
        const statuses = [429, 500];
        const first = provider.requests.length;
        provider.plan = () => statuses.shift() ?? 200;
        await ask(tulle, email);
        await delayed(tulle, 1);
        clock.advance(10);
        await delayed(tulle, 2);
        clock.advance(20);
        await provider.next(email);
        const keys = provider.requests.slice(first).map(({ headers }) => headers['idempotency-key']);
        assert.equal(keys.length, 3);
        assert.equal(new Set(keys).size, 1);
        provider.plan = () => 422;
        await ask(tulle, email);
        await until('it is dropped', () => events(tulle, 'mail_dropped').length === 1);
        provider.plan = null;
    });
});

describe('settings', () => {
    const refuse = async (env, expected, config) => {
        const tulle = await prepareTulle({ env });
        if (config !== undefined) {
            tulle.env.AUTH_CONFIG = join(tulle.dataDir, 'auth.json');
            writeFileSync(tulle.env.AUTH_CONFIG, typeof config === 'string' ? config : JSON.stringify(config));
        }
        const { code, stderr } = await tulle.cli(['migrate']);
        assert.equal(code, 1);
        assert.match(stderr, expected);
    };

    test('that cannot work stop the start with a line that says which', async () => {
        const good = { id: 'a', provider: 'resend', config: { apiKey: 'k', fromEmail: 'a@b.example' } };
        await refuse({ SMTP_URL: 'smtp://127.0.0.1:25' }, /SMTP_URL needs MAIL_FROM/);
        await refuse({ SMTP_URL: 'http://127.0.0.1' }, /SMTP_URL/);
        await refuse({ SMTP_URL: 'smtp://127.0.0.1:25', MAIL_FROM: 'Tulle <tülle@mesh.example>' }, /MAIL_FROM/);
        await refuse({ AUTH_CONFIG: '/does/not/exist.json' }, /AUTH_CONFIG/);
        await refuse({}, /AUTH_CONFIG.*no JSON object/, '[1]');
        await refuse({}, /expected "resend"/, { emailProviders: [{ ...good, provider: 'pigeon' }] });
        await refuse({}, /needs apiKey/, { emailProviders: [{ ...good, config: { fromEmail: 'a@b.example' } }] });
        await refuse({}, /needs apiKey/, { emailProviders: [{ ...good, config: { ...good.config, url: 'http://mail.example/' } }] });
        await refuse({}, /no e-mail provider "b"/, { emailProviders: [good], magicLinkConfig: { enabled: true, emailProviderId: 'b' } });
    });

    test('without mail nothing that needs it is offered, and asking anyway is refused', async () => {
        const tulle = await startTulle({ env: { ALLOW_REGISTRATION: 'true' } });
        const browser = new Browser(tulle.url);
        await browser.open('/login');
        assert.ok(!/signup/.test(browser.page.html));
        await browser.submit('/login', { email: 'a@b.example' });
        assert.deepEqual(browser.page.forms().map(({ action }) => action), ['/login']);
        const { fields } = browser.page.form('/login');
        for (const path of ['/login/link', '/login/reset'])
            assert.equal((await browser.request(path, { method: 'POST', body: new URLSearchParams(fields).toString() })).status, 404);
        assert.equal((await browser.open('/signup')).status, 404);
        await tulle.end();
    });

    test('passwords and links can be switched off', async () => {
        const sink = await startSmtp();
        const tulle = await prepareTulle({ env: { SMTP_URL: sink.url, MAIL_FROM: from } });
        tulle.env.AUTH_CONFIG = join(tulle.dataDir, 'auth.json');
        writeFileSync(tulle.env.AUTH_CONFIG, JSON.stringify({ emailAndPassword: { enabled: false }, magicLinkConfig: { enabled: false } }));
        await tulle.serve();
        const person = await makePerson(tulle, 'a@b.example');
        const browser = new Browser(tulle.url);
        await browser.signIn(person.email, person.password);
        assert.equal((await browser.session()).user, null);
        assert.match(browser.page.text, /no way to sign in with this address/);
        await tulle.end();
        await sink.close();
    });
});
