// CONNECTION_*: every tool with good and bad input, against real servers.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { fit } from './lib/schema.mjs';
import { startRaw, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { until } from './lib/children.mjs';
import { plant } from './lib/secrets.mjs';

let tulle, org, sessions, modern, raw;
before(async () => {
    [tulle, sessions, modern, raw] = await Promise.all([startTulle(), startV1(), startV2({ isModernOnly: true }), startRaw()]);
    org = await tulle.makeOrg('acme');
});
after(() => tulle?.end());

const use = (name, args = {}) => tulle.use(name, args, org);
const refuse = (name, args, status) => tulle.refuse(name, args, org, status);
const fitted = async (name, wanted) => use(name, await fit(tulle, org.key, name, wanted));

test('a connection is created from name and url, read, listed, changed and deleted', async () => {
    const { item } = await use('CONNECTION_CREATE', { name: 'My Server', url: sessions.url });
    assert.match(item.id, /^conn_[0-9a-f]{32}$/);
    assert.equal(item.slug, 'my-server');
    assert.equal(item.enabled, true);
    assert.equal(item.auth, 'none');
    assert.equal(item.has_credential, false);
    assert.equal(item.status, 'unknown');
    assert.equal(item.created_by, org.user_id);
    const { item: read } = await use('CONNECTION_GET', { connection_id: item.id });
    assert.equal(read.url, sessions.url);
    const changed = await use('CONNECTION_UPDATE', { connection_id: item.id, name: 'Renamed', slug: 'renamed', description: 'now with words' });
    assert.deepEqual([changed.item.name, changed.item.slug, changed.item.description], ['Renamed', 'renamed', 'now with words']);
    const list = await use('CONNECTION_LIST');
    assert.ok(list.items.some((one) => one.id === item.id && one.slug === 'renamed'));
    const gone = await fitted('CONNECTION_DELETE', { connection_id: item.id, confirm: 'renamed' });
    assert.deepEqual(gone, { deleted: true, id: item.id });
    await refuse('CONNECTION_GET', { connection_id: item.id }, 404);
});

test('what cannot be a connection is refused', async () => {
    const name = 'bad';
    await refuse('CONNECTION_CREATE', { name, url: 'not a url' }, [400, 422]);
    await refuse('CONNECTION_CREATE', { name, url: 'ftp://example.test/x' }, [400, 422]);
    await refuse('CONNECTION_CREATE', { name, url: 'file:///etc/passwd' }, [400, 422]);
    await refuse('CONNECTION_CREATE', { name, url: 'http://user:pass@127.0.0.1:1/mcp' }, [400, 422]);
    await refuse('CONNECTION_CREATE', { name, url: raw.url, transport: 'carrier-pigeon' }, 400);
    await refuse('CONNECTION_CREATE', { name, url: raw.url, auth: 'maybe' }, 400);
    await refuse('CONNECTION_CREATE', { name }, [400, 422]);
    await use('CONNECTION_CREATE', { name: 'taken', slug: 'taken', url: raw.url });
    await refuse('CONNECTION_CREATE', { name: 'other', slug: 'taken', url: raw.url }, 409);
    await refuse('CONNECTION_CREATE', { name: 'x', slug: 'Not A Slug', url: raw.url }, [400, 422]);
    await refuse('CONNECTION_GET', { connection_id: 'conn_00000000000000000000000000000000' }, 404);
    await refuse('CONNECTION_GET', { connection_id: 'nonsense' }, [400, 404]);
});

test('private addresses beyond loopback are refused, and the refusal names the line to add', async () => {
    const error = await refuse('CONNECTION_CREATE', { name: 'inside', url: 'https://10.11.12.13/mcp' }, 422);
    assert.match(error.message, /10\.11\.12\.13:443/);
    assert.match(error.message, /EGRESS_ALLOW/);
});

test('CONNECTION_TEST finds out era and tools of a session server and of a stateless one', async () => {
    for (const [server, era] of [[sessions, 'session'], [modern, 'stateless']]) {
        const connection = await tulle.connect(org, { name: `test ${era}`, url: server.url });
        const result = await use('CONNECTION_TEST', { connection_id: connection.id });
        assert.equal(result.ok, true, JSON.stringify(result));
        assert.equal(result.era, era);
        assert.equal(result.status, 'healthy');
        assert.equal(result.tool_count, 10);
        assert.ok(result.latency_ms >= 0);
        assert.ok(result.steps.length > 0);
        const { item } = await until('the registry knows it', async () => {
            const read = await use('CONNECTION_GET', { connection_id: connection.id });
            return read.item.status === 'healthy' && read;
        });
        assert.equal(item.era, era);
        assert.equal(item.tool_count, 10);
    }
});

test('CONNECTION_TEST of a server that is down or no MCP server says so, with HTTP 200', async () => {
    const down = await tulle.connect(org, { name: 'down', url: 'http://127.0.0.1:9/mcp' });
    const result = await use('CONNECTION_TEST', { connection_id: down.id });
    assert.deepEqual([result.ok, result.status], [false, 'down']);
    const itself = await tulle.connect(org, { name: 'not mcp', url: `${raw.origin}/_nothing` });
    assert.equal((await use('CONNECTION_TEST', { connection_id: itself.id })).ok, false);
    await raw.plan({ 'server/discover': { name: 'status', status: 401 }, initialize: { name: 'status', status: 401 } });
    const locked = await tulle.connect(org, { name: 'locked', url: raw.url });
    const refused = await use('CONNECTION_TEST', { connection_id: locked.id });
    assert.deepEqual([refused.ok, refused.status], [false, 'needs_authorization']);
    await raw.plan({});
});

test('a disabled connection cannot be used until it is enabled', async () => {
    const connection = await tulle.connect(org, { name: 'switch', url: sessions.url });
    assert.equal((await tulle.callTool(connection, 'echo', { text: '1' }, org)).body.result.content[0].text, '1');
    assert.equal((await use('CONNECTION_DISABLE', { connection_id: connection.id })).item.enabled, false);
    const refused = await until('it is refused', async () => {
        const { body } = await tulle.callTool(connection, 'echo', { text: '2' }, org);
        return body.error && body;
    }, 5000);
    assert.equal(typeof refused.error.message, 'string');
    assert.equal((await use('CONNECTION_ENABLE', { connection_id: connection.id })).item.enabled, true);
    await until('it works again', async () => (await tulle.callTool(connection, 'echo', { text: '3' }, org)).body.result, 5000);
});

test('tools are listed, marked, disabled and called through the registry', async () => {
    const connection = await tulle.connect(org, { name: 'tools', url: sessions.url });
    const id = { connection_id: connection.id };
    const { items } = await use('CONNECTION_TOOLS_LIST', id);
    assert.equal(items.length, 10);
    assert.ok(items.every((tool) => tool.name && tool.enabled));
    assert.match(JSON.stringify(items[0]), /[0-9a-f]{64}/, 'the hash of the raw definition is kept');

    const mark = (fields) => fit(tulle, org.key, 'CONNECTION_TOOL_UPDATE', { ...id, 'name|tool|tool_name': 'echo', ...fields });
    assert.equal((await use('CONNECTION_TOOL_UPDATE', await mark({ effect: 'read' }))).item.effect, 'read');
    await refuse('CONNECTION_TOOL_UPDATE', await mark({ effect: 'sideways' }), 400);
    await refuse('CONNECTION_TOOL_UPDATE', { ...await mark({}), ...await fit(tulle, org.key, 'CONNECTION_TOOL_UPDATE', { 'name|tool|tool_name': 'nope' }) }, 404);

    const call = (name, args) => fit(tulle, org.key, 'CONNECTION_TOOL_CALL', { ...id, 'name|tool|tool_name': name, 'arguments|args': args });
    const answer = await use('CONNECTION_TOOL_CALL', await call('add', { a: 2, b: 40 }));
    assert.match(JSON.stringify(answer), /"42"/);

    await use('CONNECTION_TOOL_UPDATE', await mark({ enabled: false }));
    await until('a disabled tool is gone from the proxy', async () => {
        const { body } = await tulle.callTool(connection, 'echo', { text: 'x' }, org);
        return body.error?.code === -32602;
    }, 5000);
    const answerOfDisabled = await tulle.tool('CONNECTION_TOOL_CALL', await call('echo', { text: 'x' }), org);
    assert.notEqual(answerOfDisabled.status, 200);
});

test('the server being down is a failure of TOOLS_LIST and TOOL_CALL, not of Tulle', async () => {
    const down = await tulle.connect(org, { name: 'down too', url: 'http://127.0.0.1:9/mcp' });
    const listing = await tulle.tool('CONNECTION_TOOLS_LIST', { connection_id: down.id }, org);
    assert.ok(listing.status >= 400 && listing.body.error.code, listing.text);
    assert.notEqual(listing.body.error.code, 'internal');
});

test('credentials are set, reported and deleted, never shown', async () => {
    const secret = plant('connection bearer');
    const { item } = await use('CONNECTION_CREATE', { name: 'sealed', url: raw.url, credential: { bearer: secret } });
    assert.equal(item.has_credential, true);
    assert.equal(item.auth, 'bearer');
    assert.ok(!JSON.stringify(item).includes(secret));
    const id = { connection_id: item.id };
    const status = await use('CONNECTION_CREDENTIAL_STATUS', id);
    const organization = status.items.find((one) => one.scope === 'organization');
    assert.deepEqual([organization.kind, organization.has_credential], ['bearer', true]);
    assert.ok(!JSON.stringify(status).includes(secret));
    await use('CONNECTION_CREDENTIAL_SET', { ...id, headers: { 'X-Api-Key': plant('header') } });
    await refuse('CONNECTION_CREDENTIAL_SET', { ...id, bearer: plant('a'), headers: { 'X-A': plant('b') } }, [400, 422]);
    await refuse('CONNECTION_CREDENTIAL_SET', { ...id, headers: { 'Bad Name': 'x' } }, [400, 422]);
    await refuse('CONNECTION_CREDENTIAL_SET', { ...id, headers: { 'X-Split': 'a\r\nX-Injected: b' } }, [400, 422]);
    await refuse('CONNECTION_CREDENTIAL_SET', id, [400, 422]);
    await use('CONNECTION_CREDENTIAL_DELETE', id);
    assert.equal((await use('CONNECTION_GET', id)).item.has_credential, false);
});

test('calls are listed newest first and read one by one', async () => {
    const connection = await tulle.connect(org, { name: 'history', url: sessions.url });
    await tulle.callTool(connection, 'echo', { text: 'a' }, org);
    await tulle.callTool(connection, 'fail', {}, org);
    const items = await until('two calls', async () => {
        const list = await use('CONNECTION_CALLS_LIST', { connection_id: connection.id });
        return list.items.filter((row) => row.method === 'tools/call').length >= 2 && list.items;
    });
    const calls = items.filter((row) => row.method === 'tools/call');
    assert.deepEqual(calls.map((row) => [row.name, row.outcome]), [['fail', 'tool_error'], ['echo', 'ok']]);
    const [row] = calls;
    for (const [field, value] of [['connection_id', connection.id], ['user_id', org.user_id]]) assert.equal(row[field], value);
    assert.match(row.key_id, /^key_/);
    assert.ok(row.duration_ms >= 0 && row.bytes_in > 0 && row.bytes_out > 0 && row.request_id);
    const one = await fitted('CONNECTION_CALL_GET', { 'call_id|id': row.id, connection_id: connection.id });
    assert.equal(one.item.id, row.id);
    const unknown = await fit(tulle, org.key, 'CONNECTION_CALL_GET', { 'call_id|id': `evt_${'0'.repeat(32)}`, connection_id: connection.id });
    await refuse('CONNECTION_CALL_GET', unknown, 404);
});

test('a deleted connection with history wants its slug', async () => {
    const { items } = await use('CONNECTION_LIST', { limit: 100 });
    const { id, slug } = items.find((one) => one.name === 'history');
    const args = await fit(tulle, org.key, 'CONNECTION_DELETE', { connection_id: id, confirm: 'something-else' });
    await refuse('CONNECTION_DELETE', args, [400, 422]);
    await use('CONNECTION_DELETE', { ...args, confirm: slug });
});

test('policy explain says yes and no, and why', async () => {
    const connection = await tulle.connect(org, { name: 'explained', url: sessions.url });
    const member = await tulle.makeUser('limited@example.test');
    const role = await use('ORGANIZATION_ROLE_CREATE', {
        name: 'no-deleting', statements: [{ on: '*', tools: ['*'], effect: 'allow' }, { on: connection.id, tools: ['delete_*'], effect: 'deny' }],
    });
    await use('ORGANIZATION_MEMBER_ADD', { email: 'limited@example.test', role: role.item.id });
    const tool = await (await import('./lib/schema.mjs')).toolDefinition(tulle, org.key, 'ORGANIZATION_POLICY_EXPLAIN');
    const { action = {} } = tool.inputSchema.properties;
    const ask = async (user_id, name) => fitted('ORGANIZATION_POLICY_EXPLAIN', {
        user_id, 'connection_id|object|on': connection.id, 'name|tool': name,
        action: action.enum?.find((word) => /tool|call/.test(word)) ?? 'tool',
    });
    const verdict = (answer) => (answer.item ?? answer).allowed;
    assert.equal(verdict(await ask(org.user_id, 'delete_all')), true);
    const denied = await ask(member, 'delete_all');
    assert.equal(verdict(denied), false);
    assert.match(JSON.stringify(denied), /no-deleting/);
    assert.equal(verdict(await ask(member, 'echo')), true);
});
