// The vault: credentials reach the server, each person's own where asked, and nobody else ever sees them.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { rpc } from './lib/http.mjs';
import { plant } from './lib/secrets.mjs';
import { until } from './lib/children.mjs';

let tulle, org, raw;
before(async () => {
    [tulle, raw] = await Promise.all([startTulle({ env: { LOG_LEVEL: 'debug' } }), startRaw()]);
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

/** What the server received: {url, headers}. */
async function whoami(connection, { key }, headers = {}) {
    const { body } = await rpc(connection.mcp, 'tools/call', { name: 'whoami', arguments: {} }, { key, headers });
    assert.ok(body.result, JSON.stringify(body));
    return JSON.parse(body.result.content[0].text);
}
const set = (connection, fields, who = org) => tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, ...fields }, who);

test('[254] without a credential nothing of the client reaches the server', async () => {
    const connection = await tulle.connect(org, { name: 'none', url: raw.url });
    const { headers } = await whoami(connection, org, {
        cookie: 'a=b', 'x-forwarded-for': '1.2.3.4', 'x-custom': 'client', 'proxy-authorization': 'Basic eA==', 'x-api-key': 'client-key',
    });
    for (const name of ['authorization', 'cookie', 'x-forwarded-for', 'x-custom', 'proxy-authorization', 'x-api-key'])
        assert.equal(headers[name], undefined, name);
    assert.ok(!JSON.stringify(headers).includes(org.key));
    assert.match(headers['user-agent'], /tulle/i);
});

test('a bearer is injected', async () => {
    const bearer = plant('bearer');
    const connection = await tulle.connect(org, { name: 'bearer', url: raw.url, credential: { bearer } });
    assert.equal((await whoami(connection, org)).headers.authorization, `Bearer ${bearer}`);
});

test('headers are injected, Authorization among them', async () => {
    const [one, two] = [plant('header one'), plant('header two')];
    const connection = await tulle.connect(org, { name: 'headers', url: raw.url });
    await set(connection, { headers: { 'X-Api-Key': one, Authorization: `Token ${two}` } });
    const { headers } = await whoami(connection, org);
    assert.deepEqual([headers['x-api-key'], headers.authorization], [one, `Token ${two}`]);
});

test('query parameters are injected, escaped, beside those of the address', async () => {
    const value = `${plant('query')}&x=/ ü`;
    const connection = await tulle.connect(org, { name: 'query', url: `${raw.url}?fixed=1` });
    await set(connection, { query: { api_key: value } });
    const { url } = await whoami(connection, org);
    const { searchParams } = new URL(url, raw.origin);
    assert.deepEqual([searchParams.get('fixed'), searchParams.get('api_key'), searchParams.get('x')], ['1', value, null]);
});

test('a new credential replaces the old one at once', async () => {
    const connection = await tulle.connect(org, { name: 'rotated', url: raw.url, credential: { bearer: plant('old') } });
    await whoami(connection, org);
    const fresh = plant('new');
    await set(connection, { bearer: fresh });
    await until('the new one is used', async () => (await whoami(connection, org)).headers.authorization === `Bearer ${fresh}`, 3000);
    await tulle.use('CONNECTION_CREDENTIAL_DELETE', { connection_id: connection.id }, org);
    await until('none is used', async () => {
        const { body } = await tulle.callTool(connection, 'whoami', {}, org);
        return body.error || !body.result.content[0].text.includes(fresh);
    }, 3000);
});

test('per user: each sends their own, who has none is told so', async () => {
    const connection = await tulle.connect(org, { name: 'personal', url: raw.url, auth: 'bearer', credential_scope: 'user' });
    const people = [];
    for (const name of ['ann', 'bob', 'cem']) {
        const email = `${name}@example.test`;
        await tulle.makeUser(email);
        await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: 'member' }, org);
        people.push({ name, key: await tulle.makeKey('acme', email), secret: plant(name) });
    }
    const [ann, bob, cem] = people;
    for (const person of [ann, bob]) await set(connection, { bearer: person.secret }, person);
    await Promise.all(Array.from({ length: 20 }, async (_, i) => {
        const person = i % 2 ? ann : bob;
        assert.equal((await whoami(connection, person)).headers.authorization, `Bearer ${person.secret}`);
    }));
    const { status, body } = await tulle.callTool(connection, 'whoami', {}, cem);
    assert.equal(status, 200);
    assert.equal(body.error.code, -32603, JSON.stringify(body));
    assert.equal(typeof body.error.data.reason, 'string');
    const mine = await tulle.use('CONNECTION_CREDENTIAL_STATUS', { connection_id: connection.id }, cem);
    assert.ok(!mine.items.some((item) => item.scope === 'user' && item.has_credential), 'another person\'s credential is not shown');
    const own = await tulle.use('CONNECTION_CREDENTIAL_STATUS', { connection_id: connection.id }, ann);
    assert.ok(own.items.some((item) => item.scope === 'user' && item.has_credential));
});

test('a member cannot set the organization\'s credential', async () => {
    const connection = await tulle.connect(org, { name: 'shared', url: raw.url });
    await tulle.makeUser('dan@example.test');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'dan@example.test', role: 'member' }, org);
    const key = await tulle.makeKey('acme', 'dan@example.test');
    const answer = await tulle.tool('CONNECTION_CREDENTIAL_SET', { connection_id: connection.id, scope: 'organization', bearer: plant('dan') }, { key });
    assert.ok([403, 404].includes(answer.status), answer.text);
});

test('no tool, no audit row and no call record shows a credential', async () => {
    for (const [name, args] of [['CONNECTION_LIST', { limit: 100 }], ['ORGANIZATION_AUDIT_LIST', { limit: 100 }]]) {
        const { text } = await tulle.tool(name, args, org);
        assert.ok(!text.includes('planted'), name);
    }
    const { items } = await tulle.use('CONNECTION_LIST', { limit: 100 }, org);
    for (const { id } of items)
        for (const name of ['CONNECTION_GET', 'CONNECTION_CREDENTIAL_STATUS', 'CONNECTION_CALLS_LIST', 'CONNECTION_TEST'])
            assert.ok(!(await tulle.tool(name, { connection_id: id }, org)).text.includes('planted'), name);
});

test('a server that echoes the credential in its error does not put it into the log or the audit', async () => {
    const bearer = plant('echoed');
    const connection = await tulle.connect(org, { name: 'echoing', url: raw.url, credential: { bearer } });
    await tulle.callTool(connection, 'status', { status: 500, body: `bad token ${bearer}` }, org);
    await tulle.callTool(connection, 'status', { status: 401, headers: { 'www-authenticate': `Bearer error="${bearer}"` } }, org);
    const { text } = await tulle.tool('CONNECTION_CALLS_LIST', { connection_id: connection.id }, org);
    assert.ok(!text.includes(bearer));
});

test('keys rotate re-wraps: the old key may go, credentials still open', async () => {
    const [old, fresh] = [randomBytes(32).toString('hex'), randomBytes(32).toString('base64')];
    const own = await startTulle({ env: { ENCRYPTION_KEY: old } });
    const owner = await own.makeOrg('rotating');
    const bearer = plant('survives rotation');
    const connection = await own.connect(owner, { name: 'c', url: raw.url, credential: { bearer } });
    await own.stop();
    own.env.ENCRYPTION_KEY = `${fresh},${old}`;
    const { code, stderr } = await own.cli(['keys', 'rotate']);
    assert.equal(code, 0, stderr);
    own.env.ENCRYPTION_KEY = fresh;
    await own.serve();
    assert.equal((await whoami(connection, owner)).headers.authorization, `Bearer ${bearer}`);
    await own.end();
});
