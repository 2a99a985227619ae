// COLLECTION_CONNECTIONS_*, as a client of MCP Mesh uses them, and CONNECTION_CONFIGURE with a server that asks for settings.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { connectV1, connectV2 } from './lib/clients.mjs';
import { startV1 } from './lib/servers.mjs';
import { until } from './lib/children.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';

const delivered = [];
const stateSchema = { type: 'object', properties: { token: { type: 'string' }, region: { type: 'string', enum: ['eu', 'us'] } }, required: ['token'], additionalProperties: false };

function configuredServer() {
    const server = new McpServer({ name: 'configured', version: '1.0.0' });
    server.registerTool('MCP_CONFIGURATION', { description: 'its settings', inputSchema: z.object({}) }, async () =>
        ({ content: [{ type: 'text', text: JSON.stringify({ stateSchema, scopes: [] }) }], structuredContent: { stateSchema, scopes: [] } }));
    server.registerTool('ON_MCP_CONFIGURATION', { description: 'takes them', inputSchema: z.object({ state: z.any(), scopes: z.array(z.string()) }) }, async (args) => {
        delivered.push(args);
        return { content: [{ type: 'text', text: 'taken' }] };
    });
    return server;
}

let tulle, org, other, plain, listener, configured;
before(async () => {
    listener = createServer(toNodeHandler(createMcpHandler(configuredServer, { legacy: 'stateless' })));
    await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
    configured = `http://127.0.0.1:${listener.address().port}/mcp`;
    [tulle, plain] = await Promise.all([startTulle(), startV1()]);
    org = await tulle.makeOrg('acme');
    other = await tulle.makeOrg('other');
});
after(async () => {
    listener?.close();
    listener?.closeAllConnections();
    await tulle?.end();
});

const use = (name, args = {}) => tulle.use(name, args, org);
const refuse = (name, args, status) => tulle.refuse(name, args, org, status);
const create = (data) => use('COLLECTION_CONNECTIONS_CREATE', { data: { connection_type: 'HTTP', connection_url: plain.url, ...data } });
const list = (args) => use('COLLECTION_CONNECTIONS_LIST', args);

test('a connection that Mesh\'s shape registered is used through the proxy', async () => {
    const { item } = await create({ title: 'From Mesh', connection_token: plant('mesh-token'), app_name: 'weather', metadata: { team: 'blue' } });
    assert.match(item.id, /^conn_[0-9a-f]{32}$/);
    assert.deepEqual([item.connection_token, item.connection_headers, item.status, item.organization_id], [null, null, 'active', org.org_id]);
    const { body } = await tulle.callTool({ mcp: `${tulle.url}/mcp/${item.id}` }, 'echo', { text: 'hello' }, org);
    assert.equal(body.result.content[0].text, 'hello');

    const sent = await use('COLLECTION_CONNECTIONS_UPDATE', { id: item.id, data: { ...item, title: 'Again' } });
    assert.deepEqual({ ...sent.item, updated_at: item.updated_at }, { ...item, title: 'Again' });
    assert.equal((await use('CONNECTION_GET', { connection_id: item.id })).item.has_credential, true);

    await until('the call is recorded', async () => (await use('CONNECTION_CALLS_LIST', { connection_id: item.id })).items.length > 0);
    const error = await refuse('COLLECTION_CONNECTIONS_DELETE', { id: item.id }, 422);
    assert.match(error.message, /arguments\.force/);
    const gone = await use('COLLECTION_CONNECTIONS_DELETE', { id: item.id, force: true });
    assert.equal(gone.item.title, 'Again');
    await refuse('COLLECTION_CONNECTIONS_GET', { id: item.id }, 404);
});

test('where, orderBy, limit and offset choose and order items', async () => {
    for (const [title, rank] of [['Alpha', 2], ['beta', 3], ['Gamma', 1], ['ALPHABET', null]])
        await create({ title, metadata: { rank }, app_id: 'sorted' });
    const ours = { field: ['app_id'], operator: 'eq', value: 'sorted' };
    const titles = async (where, more = {}) => (await list({ where: { operator: 'and', conditions: [ours, ...where] }, ...more })).items.map((item) => item.title);
    assert.deepEqual(await titles([{ field: ['title'], operator: 'like', value: 'alpha%' }]), ['Alpha', 'ALPHABET']);
    assert.deepEqual(await titles([{ field: ['title'], operator: 'contains', value: 'MM' }]), ['Gamma']);
    assert.deepEqual(await titles([{ field: ['metadata', 'rank'], operator: 'in', value: [1, 3] }]), ['beta', 'Gamma']);
    assert.deepEqual(await titles([{ operator: 'not', conditions: [{ field: ['metadata', 'rank'], operator: 'gte', value: 2 }] }]), ['Gamma', 'ALPHABET']);
    assert.deepEqual(await titles([{ operator: 'or', conditions: [
        { field: ['title'], operator: 'eq', value: 'beta' }, { field: ['metadata', 'rank'], operator: 'eq', value: null }] }]), ['beta', 'ALPHABET']);
    const byRank = [{ field: ['metadata', 'rank'], direction: 'desc', nulls: 'first' }];
    assert.deepEqual(await titles([ours], { orderBy: byRank }), ['ALPHABET', 'beta', 'Alpha', 'Gamma']);
    const page = await list({ where: ours, orderBy: byRank, limit: 2, offset: 1 });
    assert.deepEqual([page.items.map((item) => item.title), page.totalCount, page.hasMore], [['beta', 'Alpha'], 4, true]);
    for (const where of [{ field: ['colour'], operator: 'eq', value: 1 }, { field: ['title'], operator: 'regex', value: '.*' }, { operator: 'and', conditions: [] }])
        assert.match((await refuse('COLLECTION_CONNECTIONS_LIST', { where }, 400)).message, /arguments\.where/);
    assert.equal((await tulle.use('COLLECTION_CONNECTIONS_LIST', {}, other)).totalCount, 0);
});

test('clients of both eras find the collection in its toolset only, and may call it anyhow', async () => {
    for (const connect of [connectV1, connectV2]) {
        const usual = await connect(`${tulle.url}/mcp`, org.key);
        const names = (await usual.listTools()).tools.map((tool) => tool.name);
        assert.ok(names.includes('CONNECTION_CONFIGURE') && !names.some((name) => name.startsWith('COLLECTION_')));
        const { structuredContent } = await usual.callTool({ name: 'COLLECTION_CONNECTIONS_LIST', arguments: { limit: 1 } });
        assert.equal(structuredContent.items.length, 1);
        await usual.close();
        const narrow = await connect(`${tulle.url}/mcp?toolset=collections`, org.key);
        assert.deepEqual((await narrow.listTools()).tools.map((tool) => tool.name).sort(),
            ['CREATE', 'DELETE', 'GET', 'LIST', 'UPDATE'].map((verb) => `COLLECTION_CONNECTIONS_${verb}`));
        await narrow.close();
    }
});

test('a key for using connections does not manage them by another name', async () => {
    const key = await tulle.makeKey('acme', org.email, '--scope', 'mcp');
    const { status } = await tulle.tool('COLLECTION_CONNECTIONS_CREATE', { data: { title: 'x', connection_type: 'HTTP', connection_url: plain.url } }, { key });
    assert.equal(status, 403);
    await until('the refusal is recorded', async () =>
        (await use('ORGANIZATION_AUDIT_LIST', { method: 'COLLECTION_CONNECTIONS_CREATE', outcome: 'denied' })).items.length === 1);
});

test('settings that a server asks for are checked, sealed and given to it', async () => {
    const { item } = await use('CONNECTION_CREATE', { name: 'Configured', url: configured });
    const token = guard('planted-setting-3f9a', 'setting');
    const answer = await use('CONNECTION_CONFIGURE', { connection_id: item.id, values: { token, region: 'eu' } });
    assert.deepEqual([answer.configured, answer.checked, answer.delivered], [true, true, true]);
    assert.deepEqual(answer.schema, stateSchema);
    assert.deepEqual(delivered.at(-1), { state: { token, region: 'eu' }, scopes: [] });
    assert.ok(!JSON.stringify(await use('CONNECTION_GET', { connection_id: item.id })).includes(token));
    const error = await refuse('CONNECTION_CONFIGURE', { connection_id: item.id, values: { token: 7, region: 'moon' } }, 400);
    assert.match(error.message, /arguments\.values/);
    assert.ok(!error.message.includes('moon'), error.message);
    assert.equal(delivered.length, 1);

    const unaware = await use('CONNECTION_CREATE', { name: 'Unaware', url: plain.url });
    assert.match((await refuse('CONNECTION_CONFIGURE', { connection_id: unaware.item.id, values: {} }, 422)).message, /MCP_CONFIGURATION/);
    await tulle.refuse('CONNECTION_CONFIGURE', { connection_id: item.id, values: { token } }, other, 404);
});
