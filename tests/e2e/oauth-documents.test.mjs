// Clients that are known by the URL of their metadata document. Numbers in brackets: rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { send } from './lib/http.mjs';
import { makeCertificate, startHttps } from './lib/https.mjs';
import { answerOf, decide, loopback, makeOwner, obtainTokens, pkce, redeem, refresh, request, signedIn } from './lib/oauth.mjs';
import { makeClock } from './lib/clock.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, certificate, site, browser;
const documents = new Map(); // path -> (req, res) or an object

const says = (path, more = {}) => ({ client_id: site.url + path, client_name: 'Document program', redirect_uris: [loopback],
    token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], ...more });

/** Puts a document there: the client that it makes. */
function publish(path, more = {}, headers = {}) {
    const document = says(path, more);
    documents.set(path, (req, res) => res.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document)));
    return { client_id: site.url + path, redirect_uri: document.redirect_uris[0] };
}

before(async () => {
    certificate = makeCertificate();
    site = await startHttps(certificate, (req, res) => {
        const answer = documents.get(req.url);
        if (answer) answer(req, res);
        else res.writeHead(404).end();
    });
    tulle = await startTulle({ env: { CA_BUNDLE: certificate.bundle } });
    org = await makeOwner(tulle, 'acme');
    browser = await signedIn(tulle, org);
});
after(async () => {
    await tulle?.end();
    await site?.close();
    certificate?.remove();
});

const audience = () => ({ resource: `${tulle.url}/mcp`, scope: 'mcp:manage' });
const authorize = (client, more = {}) => browser.request(`/oauth/authorize?${request(client, pkce(), { ...audience(), ...more })}`);
async function assertPage(client, pattern = /cannot be identified/) {
    const page = await authorize(client);
    assert.equal(page.status, 400, page.html);
    assert.equal(page.headers.location, undefined);
    assert.match(page.text, pattern);
}

test('metadata says so, and a document is enough to get tokens and refresh them', async () => {
    const { body } = await send(`${tulle.url}/.well-known/oauth-authorization-server`, { method: 'GET' });
    assert.equal(body.client_id_metadata_document_supported, true);
    assert.ok(body.token_endpoint_auth_methods_supported.includes('none'));
    const client = publish('/client.json');
    await browser.open(`/oauth/authorize?${request(client, pkce(), audience())}`);
    assert.match(browser.page.text, /Document program \(this name is unverified\) of localhost/);
    const tokens = await obtainTokens(tulle, browser, client, audience());
    assert.equal((await tulle.use('ORGANIZATION_LIST', {}, { ...org, key: tokens.access_token })).items.length, 1);
    const again = await refresh(tulle, client, tokens.refresh_token);
    assert.equal(again.status, 200, again.text);
    assert.equal(site.count('/client.json'), 1, 'it was fetched once');
    const { items } = await tulle.use('OAUTH_CLIENT_LIST', {}, org);
    assert.equal(items.find(({ id }) => id === client.client_id)?.name, 'Document program');
});

test('[12] a loopback redirect of a document matches with any port, its path exactly', async () => {
    const client = publish('/loopback.json', { redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'] });
    const tokens = await obtainTokens(tulle, browser, { ...client, redirect_uri: 'http://127.0.0.1:49152/callback' }, audience());
    assert.ok(tokens.access_token);
    const page = await authorize({ ...client, redirect_uri: 'http://127.0.0.1:49152/other' });
    assert.equal(page.status, 400);
});

test('[132] ids that are no document URL are refused without a fetch', async () => {
    const before = site.requests.length;
    for (const id of [`http://localhost:${site.port}/c.json`, site.url, `${site.url}/`, `${site.url}/c.json#f`, `https://user@localhost:${site.port}/c.json`,
        `${site.url}/a/../c.json`, `${site.url}/a/%2e%2E/c.json`, `${site.url}/./c.json`, `${site.url}/c.json `, `${site.url}/a\\c.json`, 'https:///c.json'])
        await assertPage({ client_id: id, redirect_uri: loopback }, /cannot be identified|not registered/);
    assert.equal(site.requests.length, before);
});

test('[133] private addresses in every spelling are refused by the guard', async () => {
    for (const host of ['10.0.0.1', '169.254.169.254', '192.168.1.1', '100.64.0.1', '[::ffff:10.0.0.1]', '[fd00::1]', '0xa000001', '167772161', '012.0.0.1'])
        await assertPage({ client_id: `https://${host}/client.json`, redirect_uri: loopback });
});

test('[135] redirects are not followed', async () => {
    publish('/target.json');
    documents.set('/moved.json', (req, res) => res.writeHead(301, { location: '/target.json' }).end());
    await assertPage({ client_id: `${site.url}/moved.json`, redirect_uri: loopback }, /status 301/);
    assert.equal(site.count('/target.json'), 0);
});

test('[136] what is long, slow or compressed is refused', async () => {
    publish('/long.json', { padding: 'x'.repeat(11_000) });
    await assertPage({ client_id: `${site.url}/long.json`, redirect_uri: loopback });
    documents.set('/endless.json', (req, res) => {
        res.writeHead(200, { 'content-type': 'application/json' });
        const timer = setInterval(() => res.write(' '), 200);
        res.on('close', () => clearInterval(timer));
    });
    await assertPage({ client_id: `${site.url}/endless.json`, redirect_uri: loopback });
    documents.set('/zipped.json', (req, res) => res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(Buffer.from('1f8b0800', 'hex')));
    await assertPage({ client_id: `${site.url}/zipped.json`, redirect_uri: loopback });
});

test('[137] a document that names another client_id is refused', async () => {
    for (const other of ['/Twin.json', '/twin.json/', '/twin.json?x'])
        await assertPage({ ...publish('/twin.json', { client_id: site.url + other }), redirect_uri: loopback }, /another client_id/);
});

test('[138] [123] secrets and private keys have no place in a document', async () => {
    let n = 0;
    for (const more of [{ client_secret: 's' }, { client_secret_expires_at: 0 }, { token_endpoint_auth_method: 'client_secret_basic' },
        { token_endpoint_auth_method: 'private_key_jwt' }, { jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, { jwks: { keys: [{ kty: 'EC', d: 'AAAA' }] } },
        { redirect_uris: [] }, { redirect_uris: ['javascript:alert(1)'] }, { client_name: undefined }, { grant_types: ['client_credentials'] }])
        await assertPage({ ...publish(`/bad-${n++}.json`, more), redirect_uri: loopback });
});

test('[139] [140] only JSON with status 200 is a document, and no failure is remembered as one', async () => {
    const client = publish('/page.json', {}, { 'content-type': 'text/html' });
    await assertPage(client, /Content-Type/);
    for (const status of [304, 404, 500]) {
        documents.set(`/status-${status}.json`, (req, res) => res.writeHead(status, { 'content-type': 'application/json' }).end(status === 304 ? undefined : JSON.stringify(says(`/status-${status}.json`))));
        await assertPage({ client_id: `${site.url}/status-${status}.json`, redirect_uri: loopback });
    }
    documents.set('/invalid.json', (req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"client_id":'));
    await assertPage({ client_id: `${site.url}/invalid.json`, redirect_uri: loopback });
    assert.equal((await tulle.use('OAUTH_CLIENT_LIST', {}, org)).items.filter(({ id }) => id.includes('status-')).length, 0);
});

test('[141] many requests for one new document fetch it once', async () => {
    const client = publish('/popular.json');
    const pages = await Promise.all(Array.from({ length: 40 }, () => authorize(client)));
    assert.deepEqual([...new Set(pages.map(({ status }) => status))], [200]);
    assert.equal(site.count('/popular.json'), 1);
});

test('[142] ids that this server gives out are never looked up elsewhere', async () => {
    await assertPage({ client_id: `cli_${'1'.repeat(32)}`, redirect_uri: loopback }, /not registered/);
});

test('CIMD=off: nothing is fetched, and metadata does not offer it', async () => {
    const client = publish('/off.json');
    const off = await startTulle({ env: { CA_BUNDLE: certificate.bundle, CIMD: 'off' } });
    try {
        const { body } = await send(`${off.url}/.well-known/oauth-authorization-server`, { method: 'GET' });
        assert.equal(body.client_id_metadata_document_supported, false);
        const page = await send(`${off.url}/oauth/authorize?${request(client, pkce(), { resource: `${off.url}/mcp` })}`, { method: 'GET' });
        assert.equal(page.status, 400);
        assert.equal(site.count('/off.json'), 0);
    } finally {
        await off.end();
    }
});

test('[143] a fresh document is read again in time; other redirects end remembered consents; the last good one serves seven days', async () => {
    const clock = makeClock();
    const timed = await startTulle({ env: { CA_BUNDLE: certificate.bundle, ...clock.env } });
    try {
        const owner = await makeOwner(timed, 'timed');
        const person = await signedIn(timed, owner);
        const remote = 'https://program.example/callback';
        const client = publish('/aging.json', { redirect_uris: [remote] }, { 'cache-control': 'max-age=600' });
        const ask = async () => person.request(`/oauth/authorize?${request(client, pkce(), { resource: `${timed.url}/mcp`, scope: 'mcp:manage' })}`);
        await obtainTokens(timed, person, client, { resource: `${timed.url}/mcp`, scope: 'mcp:manage' });
        assert.ok(answerOf(await ask(), remote).code, 'consent is remembered');
        assert.equal(site.count('/aging.json'), 1, 'and so is the document');
        clock.advance(601);
        assert.ok(answerOf(await ask(), remote).code);
        assert.equal(site.count('/aging.json'), 2, 'older than max-age: read again');
        publish('/aging.json', { redirect_uris: [remote, 'https://program.example/other'] });
        clock.advance(601);
        const page = await ask();
        assert.equal(page.status, 200, 'other redirects: the person is asked again');
        await person.open(`/oauth/authorize?${request(client, pkce(), { resource: `${timed.url}/mcp`, scope: 'mcp:manage' })}`);
        assert.ok(answerOf(await decide(person, 'allow'), remote).code);
        const { items } = await timed.use('ORGANIZATION_AUDIT_LIST', { limit: 100 }, owner);
        assert.ok(items.length > 0);
        documents.delete('/aging.json');
        clock.advance(5 * 24 * 3600);
        assert.ok(answerOf(await ask(), remote).code, 'gone for five days: the last good one');
        clock.advance(2 * 24 * 3600);
        const last = await signedIn(timed, owner);
        const refused = await last.request(`/oauth/authorize?${request(client, pkce(), { resource: `${timed.url}/mcp`, scope: 'mcp:manage' })}`);
        assert.equal(refused.status, 400, 'after seven days it is over');
    } finally {
        await timed.end();
    }
});
