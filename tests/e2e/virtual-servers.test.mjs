// Virtual servers: chosen tools, resources and prompts of several connections at an address of their own.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeClient, makeOwner, obtainTokens, signedIn } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startMany, startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, other, a, b, v1, made;
before(async () => {
    let servers;
    [tulle, ...servers] = await Promise.all([
        startTulle(), startMany({ name: 'A', tools: ['echo', 'get_one', 'get_two', 'secret'] }),
        startMany({ name: 'B', tools: ['echo', 'only_b'], isStateless: true }), startV1(),
    ]);
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    [a, b, v1] = await Promise.all(servers.map((server, i) => tulle.connect(org, { name: `S${i}`, slug: ['sa', 'sb', 'sv1'][i], url: server.url })));
    made = await create({
        name: 'Team', instructions: 'For the team.', connections: [
            { connection_id: a.id, tools: [{ name: 'echo', as: 'say', description: 'Says it again.' }, { name: 'get_*' }], resources: ['note://*'], prompts: [] },
            { connection_id: b.id, tools: [{ name: 'echo' }, { name: 'gone' }] },
        ],
    });
});
after(() => tulle?.end());

async function create(fields) {
    const { item } = await tulle.use('VIRTUAL_SERVER_CREATE', fields, org);
    assert.equal(item.url, `${tulle.url.replace('127.0.0.1', 'localhost')}/mcp/${item.id}`);
    return { ...item, mcp: `${tulle.url}/mcp/${item.id}` };
}
const list = async (key, method = 'tools/list', params = {}, url = made.mcp) => {
    const { status, body, text } = await rpc(url, method, params, { key });
    assert.equal(status, 200, text);
    assert.ok(body.result, text);
    return body.result;
};
const names = async (key = org.key, url = made.mcp) => (await list(key, 'tools/list', {}, url)).tools.map((tool) => tool.name);
const call = (name, args = {}, key = org.key, url = made.mcp) => rpc(url, 'tools/call', { name, arguments: args }, { key });

test('it shows what was chosen, as it was named and described', async () => {
    const { tools } = await list(org.key);
    assert.deepEqual(tools.map((tool) => tool.name), ['echo', 'get_one', 'get_two', 'say']);
    assert.equal(tools[3].description, 'Says it again.');
    assert.equal(tools[0].description, 'echo of B');
    assert.deepEqual((await list(org.key, 'prompts/list')).prompts.map((one) => one.name), ['greet']);
    assert.deepEqual((await list(org.key, 'resources/list')).resources.map((one) => one.uri).sort(),
        ['note://sa/host/one', 'note://sb/host/one', 'ui://sb/app/x.html']);
});

test('calls reach the tool behind the name; what was not chosen is unknown', async () => {
    for (const [name, expected] of [['say', 'A/echo: x'], ['echo', 'B/echo: x'], ['get_two', 'A/get_two: x']])
        assert.equal((await call(name, { text: 'x' })).body.result.content[0].text, expected);
    for (const name of ['secret', 'only_b', 'sa__secret', 'sa__echo', 'gone']) {
        const { body, text } = await call(name);
        assert.equal(body.error?.code, -32602, text);
    }
    assert.equal((await list(org.key, 'prompts/get', { name: 'greet', arguments: { who: 'w' } })).messages[0].content.text, 'B greets w');
    assert.equal((await list(org.key, 'resources/read', { uri: 'note://sa/host/one' })).contents[0].text, 'A has note://host/one');
    assert.match((await rpc(made.mcp, 'resources/read', { uri: 'ui://sa/app/x.html' }, { key: org.key })).body.error.message, /not found/i);
});

test('the official clients of both eras use it', async () => {
    for (const connect of [() => connectV1(made.mcp, org.key), () => connectV2(made.mcp, org.key, { mode: 'auto' }), () => connectV2(made.mcp, org.key)]) {
        const client = await connect();
        assert.match(client.getInstructions(), /For the team\.[^]*Team/);
        assert.equal((await client.listTools()).tools.length, 4);
        assert.equal(textOf(await client.callTool({ name: 'say', arguments: { text: 'hi' } })), 'A/echo: hi');
        await client.close();
    }
});

test('two names that clash get their server\'s, or all of them if wanted', async () => {
    const both = await create({ name: 'Both', connections: [{ connection_id: a.id, prompts: [] }, { connection_id: b.id, prompts: [] }] });
    assert.deepEqual(await names(org.key, both.mcp), ['get_one', 'get_two', 'only_b', 'sa__echo', 'sb__echo', 'secret']);
    await tulle.use('VIRTUAL_SERVER_UPDATE', { virtual_server_id: both.id, prefix: 'always' }, org);
    assert.deepEqual(await names(org.key, both.mcp), ['sa__echo', 'sa__get_one', 'sa__get_two', 'sa__secret', 'sb__echo', 'sb__only_b']);
    assert.equal((await call('sb__only_b', { text: 'x' }, org.key, both.mcp)).body.result.content[0].text, 'B/only_b: x');
    await tulle.use('VIRTUAL_SERVER_UPDATE', { virtual_server_id: both.id, connections: [{ connection_id: b.id, tools: [{ name: 'only_b' }] }] }, org);
    assert.deepEqual(await names(org.key, both.mcp), ['sb__only_b']);
    assert.equal((await call('sa__secret', {}, org.key, both.mcp)).body.error.code, -32602);
    await tulle.use('VIRTUAL_SERVER_UPDATE', { virtual_server_id: both.id, enabled: false }, org);
    assert.equal((await rpc(both.mcp, 'tools/list', {}, { key: org.key })).status, 404);
    await tulle.use('VIRTUAL_SERVER_DELETE', { virtual_server_id: both.id }, org);
    assert.equal((await rpc(both.mcp, 'tools/list', {}, { key: org.key })).status, 404);
});

test('another organization hears what it hears of an address that is not there', async () => {
    const unknown = `${tulle.url}/mcp/vs_f00dfeedf00dfeedf00dfeedf00dfeed`;
    for (const method of ['POST', 'GET', 'DELETE']) {
        const ask = async (url, key) => {
            const { status, text, headers } = await send(url, {
                method, key, ...(method === 'POST' && { body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }), headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': 'x' },
            });
            return { status, text: text.replaceAll(/"request_id":"[^"]*"/g, ''), authenticate: headers['www-authenticate']?.replaceAll(/vs_[0-9a-f]+/g, 'ID') };
        };
        assert.deepEqual(await ask(made.mcp, other.key), await ask(unknown, other.key), method);
        assert.equal((await ask(made.mcp, other.key)).status, 404, method);
        assert.deepEqual(await ask(made.mcp), await ask(unknown), method);
        assert.equal((await ask(made.mcp)).status, 401, method);
    }
    const args = { virtual_server_id: made.id };
    for (const name of ['VIRTUAL_SERVER_GET', 'VIRTUAL_SERVER_UPDATE', 'VIRTUAL_SERVER_DELETE']) await tulle.refuse(name, args, other, 404);
    assert.equal((await tulle.use('VIRTUAL_SERVER_LIST', {}, other)).total_count, 0);
    await tulle.refuse('VIRTUAL_SERVER_CREATE', { name: 'thief', connections: [{ connection_id: a.id }] }, other, 404);
});

test('a role may grant a virtual server without its connections, and deny still wins', async () => {
    const { item: role } = await tulle.use('ORGANIZATION_ROLE_CREATE', {
        name: 'team only', statements: [
            { on: made.id, tools: ['*'], effect: 'allow' }, { on: a.id, tools: ['get_two'], effect: 'deny' },
        ],
    }, org);
    await tulle.makeUser('narrow@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'narrow@acme.example', role: role.id }, org);
    const key = await tulle.makeKey('acme', 'narrow@acme.example');
    assert.deepEqual(await names(key), ['echo', 'get_one', 'say']);
    assert.equal((await call('say', { text: 'x' }, key)).body.result.content[0].text, 'A/echo: x');
    assert.equal((await call('get_two', {}, key)).body.error.code, -32602);
    assert.equal((await rpc(b.mcp, 'tools/list', {}, { key })).status, 404, 'not the connection itself');
    assert.deepEqual(await names(key, `${tulle.url}/mcp/hub`), [], 'nor the hub');
});

test('a key may be narrowed to a virtual server', async () => {
    const { key } = await tulle.use('API_KEY_CREATE', { name: 'vs', connection_ids: [made.id] }, org);
    guard(key, 'API key');
    assert.deepEqual(await names(key), ['echo', 'get_one', 'get_two', 'say']);
    assert.equal((await call('say', { text: 'x' }, key)).body.result.content[0].text, 'A/echo: x');
    assert.equal((await rpc(a.mcp, 'tools/list', {}, { key })).status, 404);
    assert.equal((await tulle.tool('API_KEY_CREATE', { name: 'x', connection_ids: [made.id.replace(/.{4}$/, '0000')] }, org)).status, 404);
});

test('OAuth: a token for it works there alone', async () => {
    const unauthorized = await rpc(made.mcp, 'tools/list', {});
    const address = /resource_metadata="([^"]+)"/.exec(unauthorized.headers['www-authenticate'])[1];
    assert.equal((await send(address, { method: 'GET' })).body.resource, made.mcp);
    const browser = await signedIn(tulle, org);
    const client = await makeClient(tulle);
    const token = (await obtainTokens(tulle, browser, client, { resource: made.mcp })).access_token;
    assert.deepEqual(await names(token), ['echo', 'get_one', 'get_two', 'say']);
    assert.equal((await call('say', { text: 'o' }, token)).body.result.content[0].text, 'A/echo: o');
    for (const url of [a.mcp, `${tulle.url}/mcp/hub`, `${tulle.url}/mcp`]) assert.equal((await rpc(url, 'tools/list', {}, { key: token })).status, 401, url);
    const hubToken = (await obtainTokens(tulle, browser, client, { resource: `${tulle.url}/mcp/hub` })).access_token;
    assert.equal((await rpc(made.mcp, 'tools/list', {}, { key: hubToken })).status, 401);
});

test('a member goes with its connection', async () => {
    const one = await create({ name: 'One', connections: [{ connection_id: v1.id }, { connection_id: b.id }] });
    assert.ok((await names(org.key, one.mcp)).includes('only_b'));
    await tulle.use('CONNECTION_DELETE', { connection_id: v1.id, confirm: 'sv1' }, org);
    const { item } = await tulle.use('VIRTUAL_SERVER_GET', { virtual_server_id: one.id }, org);
    assert.deepEqual(item.connections.map((each) => each.connection_id), [b.id]);
    assert.deepEqual(await names(org.key, one.mcp), ['echo', 'only_b']);
});
