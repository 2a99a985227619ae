// One decision for listing and calling: what a caller may not use is absent from lists and refused when called.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, textOf } from './lib/clients.mjs';
import { fit } from './lib/schema.mjs';
import { startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';
import { rpc } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let tulle, org, connection, second, modern;
before(async () => {
    const [program, server, strict] = await Promise.all([startTulle(), startV1(), startV2({ isModernOnly: true })]);
    tulle = program;
    org = await tulle.makeOrg('acme');
    connection = await tulle.connect(org, { name: 'first', url: server.url });
    second = await tulle.connect(org, { name: 'second', url: server.url });
    modern = await tulle.connect(org, { name: 'modern', url: strict.url });
});
after(() => tulle?.end());

let people = 0;
/** A person with nothing but one custom role made of these statements. */
async function personWith(statements) {
    const email = `person${++people}@example.test`;
    await tulle.makeUser(email);
    const { item } = await tulle.use('ORGANIZATION_ROLE_CREATE', { name: `role ${people}`, statements }, org);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: item.id }, org);
    return { role: item, key: await tulle.makeKey('acme', email) };
}
async function keyWith(fields) {
    const { key, item } = await tulle.use('API_KEY_CREATE', { name: `key ${++people}`, ...fields }, org);
    return { key: guard(key, item.name), item };
}
const names = async (person, method = 'tools/list', where = connection) => {
    const { body } = await rpc(where.mcp, method, {}, person);
    assert.ok(body.result, JSON.stringify(body));
    return (body.result.tools ?? body.result.prompts).map((one) => one.name).sort();
};
const counted = async () => JSON.parse(textOf((await tulle.callTool(connection, 'stats', {}, org)).body.result)).calls;
const MINUS_32602 = (error) => error.code === -32602;

test('a custom role shows and allows exactly what it grants', async () => {
    const person = await personWith([
        { on: connection.id, tools: ['echo', 's*'], resources: ['fixture://static/*', 'fixture://page/{number}'], prompts: ['hello'], effect: 'allow' },
        { on: '*', tools: ['slow'], resources: ['fixture://static/beta'], effect: 'deny' },
    ]);
    const client = await connectV1(connection.mcp, person.key);
    assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name).sort(), ['echo', 'stats', 'structured']);
    assert.deepEqual((await client.listResources()).resources.map((one) => one.uri), ['fixture://static/alpha']);
    assert.deepEqual((await client.listPrompts()).prompts.map((prompt) => prompt.name), ['hello']);
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'ok' } })), 'ok');
    assert.equal((await client.readResource({ uri: 'fixture://static/alpha' })).contents[0].text, 'content of alpha');
    assert.equal((await client.getPrompt({ name: 'hello' })).messages.length, 1);

    const before = await counted();
    await assert.rejects(client.callTool({ name: 'add', arguments: { a: 1, b: 1 } }), MINUS_32602);
    await assert.rejects(client.callTool({ name: 'slow', arguments: { ms: 1 } }), MINUS_32602);
    await assert.rejects(client.readResource({ uri: 'fixture://static/beta' }), MINUS_32602);
    await assert.rejects(client.getPrompt({ name: 'paint', arguments: { colour: 'red' } }), MINUS_32602);
    await assert.rejects(client.complete({ ref: { type: 'ref/prompt', name: 'paint' }, argument: { name: 'colour', value: 'r' } }), MINUS_32602);
    assert.equal(await counted() - before, 1, 'nothing that was refused reached the server');
    await client.close();
});

test('a refused tool looks like one that does not exist', async () => {
    const person = await personWith([{ on: connection.id, tools: ['echo'], effect: 'allow' }]);
    const ask = async (name) => {
        const { status, body } = await tulle.callTool(connection, name, {}, person);
        return { status, error: JSON.parse(JSON.stringify(body.error).replaceAll(name, 'NAME').replaceAll(/"request_id":"[^"]*"/g, '')) };
    };
    assert.deepEqual(await ask('delete_all'), await ask('delete_not'));
});

test('a role for one connection opens no other', async () => {
    const person = await personWith([{ on: connection.id, tools: ['*'], effect: 'allow' }]);
    assert.equal((await names(person)).length, 10);
    const { status } = await rpc(second.mcp, 'tools/list', {}, person);
    const unknown = await rpc(`${tulle.url}/mcp/conn_${'0'.repeat(32)}`, 'tools/list', {}, person);
    assert.equal(unknown.status, 404);
    assert.equal(status, 404);
    const { items } = await tulle.use('CONNECTION_LIST', {}, person).catch(() => ({ items: [] }));
    assert.ok(items.every((item) => item.id === connection.id), 'the registry shows no more than that');
});

test('the same decision for the stateless era', async () => {
    const person = await personWith([{ on: modern.id, tools: ['echo'], effect: 'allow' }]);
    const { connectV2 } = await import('./lib/clients.mjs');
    const client = await connectV2(modern.mcp, person.key);
    assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name), ['echo']);
    assert.deepEqual((await client.listResources()).resources, []);
    await assert.rejects(client.callTool({ name: 'add', arguments: { a: 1, b: 1 } }), MINUS_32602);
    await assert.rejects(client.readResource({ uri: 'fixture://static/alpha' }), MINUS_32602);
    await client.close();
});

test('a changed role takes effect within seconds, in both directions', async () => {
    const person = await personWith([{ on: connection.id, tools: ['echo'], effect: 'allow' }]);
    assert.deepEqual(await names(person), ['echo']);
    const update = (statements) => fit(tulle, org.key, 'ORGANIZATION_ROLE_UPDATE', { 'role_id|id': person.role.id, statements })
        .then((args) => tulle.use('ORGANIZATION_ROLE_UPDATE', args, org));
    await update([{ on: connection.id, tools: ['add'], effect: 'allow' }]);
    await until('the new role counts', async () => (await names(person)).join() === 'add', 5000);
    const { body } = await tulle.callTool(connection, 'echo', { text: 'x' }, person);
    assert.equal(body.error.code, -32602);
});

test('a read-only key uses what an administrator marked as read, not what the server proposes', async () => {
    const reader = await keyWith({ scopes: ['mcp:read'] });
    await tulle.use('CONNECTION_TOOLS_LIST', { connection_id: connection.id }, org);
    assert.deepEqual(await names(reader), []);
    assert.equal((await tulle.callTool(connection, 'echo', { text: 'x' }, reader)).body.error.code, -32602);
    const mark = await fit(tulle, org.key, 'CONNECTION_TOOL_UPDATE', { connection_id: connection.id, 'name|tool|tool_name': 'echo', effect: 'read' });
    await tulle.use('CONNECTION_TOOL_UPDATE', mark, org);
    await until('the mark counts', async () => (await names(reader)).join() === 'echo', 5000);
    assert.equal(textOf((await tulle.callTool(connection, 'echo', { text: 'x' }, reader)).body.result), 'x');
    await tulle.use('CONNECTION_TOOL_UPDATE', { ...mark, effect: 'write' }, org);
    await until('and its end too', async () => (await names(reader)).length === 0, 5000);
});

test('a key limited to tools and connections uses no others', async () => {
    const narrow = await keyWith({ tools: ['echo', 'st*'], connection_ids: [connection.id] });
    assert.deepEqual(await names(narrow), ['echo', 'stats', 'structured']);
    assert.equal(textOf((await tulle.callTool(connection, 'echo', { text: 'x' }, narrow)).body.result), 'x');
    assert.equal((await tulle.callTool(connection, 'add', { a: 1, b: 2 }, narrow)).body.error.code, -32602);
    assert.equal((await rpc(second.mcp, 'tools/list', {}, narrow)).status, 404);
});

test('a key with scope mcp uses connections and manages nothing', async () => {
    const user = await keyWith({ scopes: ['mcp'] });
    assert.equal((await names(user)).length, 10);
    const answer = await tulle.tool('CONNECTION_DELETE', { connection_id: second.id, confirm: 'second' }, user);
    assert.equal(answer.status, 403, answer.text);
    const { status, headers } = await rpc(`${tulle.url}/mcp`, 'tools/call', { name: 'CONNECTION_DELETE', arguments: {} }, user);
    if (status === 403) assert.match(headers['www-authenticate'], /insufficient_scope/);
});

test('[241] a key cannot be made wider than the one who makes it', async () => {
    const manager = await keyWith({ scopes: ['mcp:manage'], connection_ids: [connection.id] });
    const answer = await tulle.tool('API_KEY_CREATE', { name: 'wider' }, manager);
    if (answer.status === 200) {
        guard(answer.body.key, 'wider');
        const { status } = await rpc(second.mcp, 'tools/list', {}, { key: answer.body.key });
        assert.ok([403, 404].includes(status), `the new key is as narrow: ${status}`);
    } else assert.ok([403, 422].includes(answer.status), answer.text);
});

test('[240] an expired key is refused, a removed member\'s key too', async () => {
    const email = 'leaver@example.test';
    const user_id = await tulle.makeUser(email);
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email, role: 'member' }, org);
    const leaver = { key: await tulle.makeKey('acme', email) };
    assert.equal((await names(leaver)).length, 10);
    await tulle.use('ORGANIZATION_MEMBER_REMOVE', { user_id }, org);
    await until('the key stops', async () => [401, 404].includes((await rpc(connection.mcp, 'tools/list', {}, leaver)).status), 5000);
});
