// Client registration: what is taken, what is refused, who may change it. Numbers in brackets: the rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { send } from './lib/http.mjs';
import { makeClient, makeOwner, refresh, register } from './lib/oauth.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, issuer;
before(async () => {
    tulle = await startTulle();
    issuer = `http://localhost:${tulle.port}`;
});
after(() => tulle?.end());

test('[118-127] registration takes what is sound, says what is not, and never more than it was asked for', async () => {
    const refused = async (metadata, error) => {
        const { status, body, text } = await register(tulle, metadata);
        assert.equal(`${status} ${body.error}`, `400 ${error}`, text);
    };
    for (const text of ['{', '[]', '{"redirect_uris":["https://a.example"],"redirect_uris":["https://b.example"]}', `${'['.repeat(1000)}${']'.repeat(1000)}`]) await refused(text, 'invalid_client_metadata');
    for (const uri of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'https://a.example/#f', 'https://u:p@a.example/', 'https://*.a.example/',
        'http://a.example/', 'https://a.example\\b', 'https://a.example/\u0001', 'relative', `https://a.example/${'x'.repeat(3000)}`, 'https://a.example/../x'])
        await refused({ redirect_uris: ['https://ok.example/', uri] }, 'invalid_redirect_uri');
    for (const redirect_uris of ['https://a.example', [], Array.from({ length: 101 }, (_, i) => `https://a.example/${i}`), [1], undefined]) await refused({ redirect_uris }, 'invalid_redirect_uri');
    const good = { redirect_uris: ['https://a.example/cb'], token_endpoint_auth_method: 'none' };
    await refused({ ...good, token_endpoint_auth_method: 'magic' }, 'invalid_client_metadata');
    await refused({ ...good, jwks: { keys: [] }, jwks_uri: 'https://a.example/jwks' }, 'invalid_client_metadata');
    await refused({ ...good, jwks: { keys: [{ kty: 'EC', d: 'x' }] } }, 'invalid_client_metadata');
    await refused({ ...good, jwks: { keys: [{ kty: 'oct', k: 'x' }] } }, 'invalid_client_metadata');
    await refused({ ...good, jwks_uri: 'http://169.254.169.254/' }, 'invalid_client_metadata');
    await refused({ ...good, logo_uri: 'javascript:x' }, 'invalid_client_metadata');
    await refused({ ...good, grant_types: ['client_credentials'] }, 'invalid_client_metadata');
    const { body } = await register(tulle, { ...good, client_id: 'mine', scope: 'admin:*', grant_types: ['authorization_code', 'client_credentials'], unknown: 1 });
    assert.match(body.client_id, /^cli_/);
    assert.equal(body.scope, 'mcp');
    assert.deepEqual(body.grant_types, ['authorization_code', 'refresh_token']);
    assert.ok(!('unknown' in body));
});

test('the recorded registrations of real clients are accepted whole', async () => {
    const recorded = {
        Cursor: ['cursor://anysphere.cursor-mcp/oauth/callback', 'https://www.cursor.com/agents/mcp/oauth/callback', 'http://localhost:8787/callback'],
        'Visual Studio Code': ['https://insiders.vscode.dev/redirect', 'https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'],
        Claude: ['https://claude.ai/api/mcp/auth_callback'],
        'Claude (claude.com)': ['https://claude.com/api/mcp/auth_callback', 'claude://claude.ai/settings/connectors'],
        'Claude Code': ['http://localhost:51234/callback'],
        ChatGPT: ['https://chatgpt.com/connector_platform_oauth_redirect'],
        'mcp-remote': ['http://localhost:3334/oauth/callback'],
        'MCP Inspector': ['http://localhost:6274/oauth/callback', 'http://localhost:6274/oauth/callback/debug'],
        'MCP Hub': ['http://localhost:37373/api/oauth/callback?server_name=x'],
    };
    for (const [client_name, redirect_uris] of Object.entries(recorded)) {
        const metadata = {
            client_name, redirect_uris, token_endpoint_auth_method: 'none', response_types: ['code'],
            grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'], client_uri: 'https://example.com', software_id: 'x', software_version: '1',
        };
        const { status, body, headers } = await register(tulle, metadata);
        assert.equal(status, 201, client_name);
        assert.equal(headers['cache-control'], 'no-store');
        assert.deepEqual(body.redirect_uris, redirect_uris);
        assert.ok(Number.isInteger(body.client_id_issued_at));
        assert.equal((await register(tulle, metadata)).body.client_id, body.client_id, 'identical metadata, the same client');
    }
    const secretive = await register(tulle, { redirect_uris: ['https://d.example/cb'] });
    assert.equal(secretive.body.token_endpoint_auth_method, 'client_secret_basic');
    assert.equal(secretive.body.client_secret_expires_at, 0);
});

test('[129 130] a registration is managed with its own token alone; a shared one is not changed for others', async () => {
    const one = await makeClient(tulle, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://e.example/cb'] });
    const two = await makeClient(tulle, { client_name: 'Two' });
    const url = one.registration_client_uri.replace(issuer, tulle.url);
    const auth = (token) => ({ headers: { authorization: `Bearer ${token}` } });
    for (const method of ['GET', 'PUT', 'DELETE']) {
        assert.equal((await send(url, { method })).status, 401);
        assert.equal((await send(url, { method, ...auth(two.registration_access_token) })).status, 401);
    }
    assert.equal((await send(url, { method: 'GET', ...auth(one.registration_access_token) })).body.client_id, one.client_id);
    const put = (body) => send(url, { method: 'PUT', body, ...auth(one.registration_access_token) });
    const change = { client_id: one.client_id, redirect_uris: ['https://f.example/cb'], token_endpoint_auth_method: 'client_secret_post' };
    for (const more of [{ client_id: two.client_id }, { client_secret_expires_at: 0 }, { registration_access_token: 'x' }]) assert.equal((await put({ ...change, ...more })).status, 400);
    const changed = await put(change);
    assert.deepEqual([changed.status, changed.body.redirect_uris], [200, ['https://f.example/cb']]);
    const shared = two.registration_client_uri.replace(issuer, tulle.url);
    const theft = await send(shared, { method: 'PUT', ...auth(two.registration_access_token), body: { ...change, client_id: two.client_id, token_endpoint_auth_method: 'none' } });
    assert.equal(theft.status, 403);
    assert.equal((await send(shared, { method: 'DELETE', ...auth(two.registration_access_token) })).status, 204, 'nobody used it');
    assert.equal((await send(url, { method: 'DELETE', ...auth(one.registration_access_token) })).status, 204);
    assert.equal((await send(url, { method: 'GET', ...auth(one.registration_access_token) })).status, 401);
    const dead = await refresh(tulle, one, 'x', { client_secret: one.client_secret });
    assert.equal(`${dead.status} ${dead.body.error}`, '401 invalid_client');
});

test('whoever registers and removes programs makes nobody forget anything', async () => {
    const one = await startTulle({ env: { WORKERS: '1' } });
    try {
        const org = await makeOwner(one, 'acme');
        const misses = async () => Number(/^tulle_cache_misses_total (\d+)/m.exec(await one.metrics())[1]);
        const look = () => one.use('ORGANIZATION_LIST', {}, org);
        await new Promise((resolve) => setTimeout(resolve, 1200)); // what the command line wrote is heard of
        await look();
        const before = await misses();
        for (let i = 0; i < 3; i++) {
            const made = await makeClient(one, { token_endpoint_auth_method: 'client_secret_post', redirect_uris: ['https://e.example/cb'] });
            const gone = await send(`${one.url}/oauth/register/${made.client_id}`, { method: 'DELETE', headers: { authorization: `Bearer ${made.registration_access_token}` } });
            assert.equal(gone.status, 204, gone.text);
            await look();
        }
        assert.equal(await misses(), before);
    } finally {
        await one.end();
    }
});

test('[128] registrations that nobody uses are bounded; a known client still comes through', async () => {
    const known = await makeClient(tulle, { client_name: 'Known' });
    let last;
    for (let i = 0; i < 600 && last?.status !== 429; i += 20)
        [last] = (await Promise.all(Array.from({ length: 20 }, (_, k) => register(tulle, { redirect_uris: [`https://flood.example/${i + k}`], token_endpoint_auth_method: 'none' }))))
            .sort((a, b) => b.status - a.status);
    assert.equal(last.status, 429);
    assert.ok(last.headers['retry-after']);
    assert.equal((await makeClient(tulle, { client_name: 'Known' })).client_id, known.client_id);
});
