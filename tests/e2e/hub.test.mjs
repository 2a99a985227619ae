// The hub: everything that a person may use, at one address.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { freePort, until } from './lib/children.mjs';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { rpc, send } from './lib/http.mjs';
import { makeClient, makeOwner, obtainTokens, signedIn } from './lib/oauth.mjs';
import { startMany, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard, plant } from './lib/secrets.mjs';

let tulle, org, other, hub, servers, connections;
const long = 'a_tool_whose_name_goes_on_and_on_and_on_and_on';
before(async () => {
    let a, b, v1, v2;
    [tulle, a, b, v1, v2] = await Promise.all([
        startTulle(), startMany({ name: 'A', tools: ['echo', 'get.it', 'get/it', long] }),
        startMany({ name: 'B', tools: ['echo', 'only_b'], isStateless: true }), startV1(), startV2(),
    ]);
    servers = { a, b, v1, v2 };
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connections = {};
    for (const [slug, server] of Object.entries(servers))
        connections[slug] = await tulle.connect(org, { name: `Server ${slug}`, slug: `srv-${slug}`, url: server.url });
    await tulle.connect(other, { name: 'Foreign', slug: 'foreign', url: a.url });
    hub = `${tulle.url}/mcp/hub`;
});
after(() => tulle?.end());

const list = async (key, url = hub, method = 'tools/list', params = {}) => {
    const { status, body, text } = await rpc(url, method, params, { key });
    assert.equal(status, 200, text);
    assert.ok(body.result, text);
    return body.result;
};
const names = async (key, url) => (await list(key, url)).tools.map((tool) => tool.name);
const call = (name, args = {}, { key } = org, url = hub) => rpc(url, 'tools/call', { name, arguments: args }, { key });

test('the tools of all servers are listed under names that say their server', async () => {
    const all = await names(org.key);
    for (const name of ['srv-a__echo', 'srv-b__echo', 'srv-b__only_b', 'srv-v1__echo', 'srv-v2__echo']) assert.ok(all.includes(name), `${name} of ${all}`);
    for (const name of all) assert.match(name, /^[A-Za-z0-9_-]{1,40}$/);
    assert.equal(new Set(all).size, all.length);
    assert.equal(all.filter((name) => name.startsWith('srv-a__get_it_')).length, 2, 'what clashes after cleaning is told apart');
    assert.equal(all.filter((name) => name.startsWith('srv-a__a_tool_whose')).length, 1);
    assert.deepEqual(await names(org.key), all, 'the same again');
    assert.deepEqual(all, [...all].sort());
});

test('a call reaches its server under the server\'s own name, shortened or not', async () => {
    for (const [name, expected] of [['srv-a__echo', 'A/echo: x'], ['srv-b__echo', 'B/echo: x'], ['srv-b__only_b', 'B/only_b: x']]) {
        const { body, text } = await call(name, { text: 'x' });
        assert.equal(body.result?.content[0].text, expected, text);
    }
    const all = await names(org.key);
    const reached = [];
    for (const name of all.filter((one) => /^srv-a__(get|a_tool)/.test(one))) {
        const { body, text } = await call(name, { text: 'x' });
        reached.push(body.result?.content[0].text ?? text);
    }
    assert.deepEqual(reached.sort(), [`A/${long}: x`, 'A/get.it: x', 'A/get/it: x'].sort());
});

test('an unknown tool is refused in the usual words', async () => {
    for (const name of ['nothing', 'srv-x__echo', 'foreign__echo', '__', 'srv-a__']) {
        const { status, body } = await call(name);
        assert.equal(status, 200, name);
        assert.equal(body.error.code, -32602, name);
        assert.match(body.error.message, /Unknown tool/);
    }
});

test('prompts, resources, templates and completion find their server', async () => {
    const { prompts } = await list(org.key, hub, 'prompts/list');
    assert.ok(prompts.some((one) => one.name === 'srv-a__greet') && prompts.some((one) => one.name === 'srv-b__greet'));
    const got = await list(org.key, hub, 'prompts/get', { name: 'srv-b__greet', arguments: { who: 'you' } });
    assert.equal(got.messages[0].content.text, 'B greets you');
    assert.equal(got.messages[1].content.uri, 'note://srv-b/host/p');
    const { resources } = await list(org.key, hub, 'resources/list');
    const uris = resources.map((one) => one.uri);
    assert.ok(uris.includes('note://srv-a/host/one') && uris.includes('note://srv-b/host/one') && uris.includes('ui://srv-a/app/x.html'), uris.join());
    const read = await list(org.key, hub, 'resources/read', { uri: 'note://srv-b/host/one' });
    assert.deepEqual(read.contents, [{ uri: 'note://srv-b/host/one', text: 'B has note://host/one' }]);
    const { resourceTemplates } = await list(org.key, hub, 'resources/templates/list');
    assert.ok(resourceTemplates.some((one) => one.uriTemplate === 'note://srv-a/host/{id}'));
    const filled = await list(org.key, hub, 'resources/read', { uri: 'note://srv-a/host/filled%20in' });
    assert.equal(filled.contents[0].text, 'A has note://host/filled%20in');
    const completed = await list(org.key, hub, 'completion/complete', { ref: { type: 'ref/prompt', name: 'srv-a__greet' }, argument: { name: 'who', value: '' } });
    assert.deepEqual(completed.completion.values, ['A:greet']);
    for (const uri of ['note://nowhere/host/one', 'note://host/one', 'x'])
        assert.match((await rpc(hub, 'resources/read', { uri }, { key: org.key })).body.error.message, /not found/i, uri);
});

test('MCP Apps: a tool\'s user interface and links in results find their way back', async () => {
    const { tools } = await list(org.key);
    const tool = tools.find((one) => one.name === 'srv-a__echo');
    assert.equal(tool._meta.ui.resourceUri, 'ui://srv-a/app/echo.html');
    assert.equal(tool._meta['ui/resourceUri'], 'ui://srv-a/app/old.html');
    assert.equal(tool._meta.kept, '12345678901234567890');
    const { body } = await call('srv-a__echo');
    assert.equal(body.result.content[1].uri, 'note://srv-a/host/echo');
    assert.equal(body.result.content[2].resource.uri, 'ui://srv-a/app/x.html');
    const read = await list(org.key, hub, 'resources/read', { uri: body.result.content[2].resource.uri });
    assert.equal(read.contents[0].text, 'A has ui://app/x.html');
});

test('the official clients of both eras use it', async () => {
    for (const connect of [() => connectV1(hub, org.key), () => connectV2(hub, org.key, { mode: 'legacy' }), () => connectV2(hub, org.key, { mode: 'auto' }), () => connectV2(hub, org.key)]) {
        const client = await connect();
        assert.match(client.getInstructions(), /srv-a: Server a/);
        const { tools } = await client.listTools();
        assert.ok(tools.some((one) => one.name === 'srv-b__echo'));
        assert.equal(textOf(await client.callTool({ name: 'srv-b__echo', arguments: { text: 'hi' } })), 'B/echo: hi');
        assert.equal((await client.getPrompt({ name: 'srv-b__greet', arguments: { who: 'w' } })).messages[0].content.text, 'B greets w');
        assert.equal((await client.readResource({ uri: 'note://srv-b/host/one' })).contents[0].text, 'B has note://host/one');
        await client.close();
    }
});

test('a session client reaches session servers and stateless ones', async () => {
    const client = await connectV1(hub, org.key);
    for (const slug of ['srv-v1', 'srv-v2', 'srv-a', 'srv-b'])
        assert.match(textOf(await client.callTool({ name: `${slug}__echo`, arguments: { text: 'hi' } })), /hi$/, slug);
    const session = client.transport.sessionId;
    assert.ok(session);
    await client.transport.terminateSession();
    const gone = await rpc(hub, 'tools/list', {}, { key: org.key, headers: { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' } });
    assert.equal(gone.status, 404);
    await client.close();
});

test('the address with the organization\'s name is the same hub, another\'s is none', async () => {
    assert.deepEqual(await names(org.key, `${hub}/acme`), await names(org.key));
    assert.deepEqual(await names(org.key, `${hub}/${org.org_id}/`), await names(org.key));
    for (const slug of ['other', 'nobody', other.org_id])
        assert.equal((await rpc(`${hub}/${slug}`, 'tools/list', {}, { key: org.key })).status, 404, slug);
});

test('another organization\'s hub shows nothing of this one and reaches nothing of it', async () => {
    const theirs = await names(other.key);
    assert.ok(theirs.every((name) => name.startsWith('foreign__')), theirs.join());
    for (const name of ['srv-a__echo', 'srv-b__only_b']) assert.equal((await call(name, {}, other)).body.error.code, -32602);
    assert.ok((await rpc(hub, 'resources/read', { uri: 'note://srv-a/host/one' }, { key: other.key })).body.error);
});

test('a dead server and a slow one keep nobody from the rest, and instructions say so', async () => {
    const slow = await startMany({ name: 'slow', tools: ['late'] });
    await slow.delay(-1);
    const dead = await tulle.connect(org, { name: 'Dead', slug: 'dead', url: `http://127.0.0.1:${await freePort()}/mcp` });
    const late = await tulle.connect(org, { name: 'Slow', slug: 'slow', url: slow.url });
    const all = await names(org.key);
    assert.ok(all.includes('srv-a__echo') && all.includes('srv-b__only_b'));
    assert.ok(!all.some((name) => /^(dead|slow)__/.test(name)));
    const { body } = await rpc(hub, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }, { key: org.key });
    assert.match(body.result.instructions, /dead: Dead \(not answering/);
    assert.match(body.result.instructions, /slow: Slow \(not answering/);
    assert.equal((await call('srv-a__echo', { text: 'x' })).body.result.content[0].text, 'A/echo: x');
    assert.equal((await call('dead__x')).body.error.code, -32603);
    const { ok } = await tulle.use('CONNECTION_TEST', { connection_id: dead.id }, org);
    assert.equal(ok, false);
    await slow.delay(0);
    await until('the slow server is listed once it answers', async () => (await names(org.key)).includes('slow__late'), 60_000);
    for (const { id } of [dead, late]) await tulle.use('CONNECTION_DELETE', { connection_id: id, confirm: id === dead.id ? 'dead' : 'slow' }, org);
    await slow.stop();
});

test('a connection that is taken away is gone from the next list', async () => {
    const { id } = await tulle.connect(org, { name: 'Gone', slug: 'gone', url: servers.a.url });
    assert.ok((await names(org.key)).includes('gone__echo'));
    await tulle.use('CONNECTION_DISABLE', { connection_id: id }, org);
    assert.ok(!(await names(org.key)).includes('gone__echo'));
    assert.equal((await call('gone__echo')).body.error.code, -32602);
    await tulle.use('CONNECTION_ENABLE', { connection_id: id }, org);
    assert.ok((await names(org.key)).includes('gone__echo'));
    await tulle.use('CONNECTION_DELETE', { connection_id: id, confirm: 'gone' }, org);
    assert.ok(!(await names(org.key)).includes('gone__echo'));
});

test('roles and keys narrow the hub as they narrow its connections', async () => {
    const { item: role } = await tulle.use('ORGANIZATION_ROLE_CREATE', {
        name: 'only b', statements: [{ on: connections.b.id, tools: ['echo'], effect: 'allow' }],
    }, org);
    await tulle.makeUser('narrow@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'narrow@acme.example', role: role.id }, org);
    const narrow = { key: await tulle.makeKey('acme', 'narrow@acme.example') };
    assert.deepEqual(await names(narrow.key), ['srv-b__echo']);
    assert.deepEqual((await list(narrow.key, hub, 'resources/list')).resources, []);
    assert.equal((await call('srv-b__echo', { text: 'n' }, narrow)).body.result.content[0].text, 'B/echo: n');
    for (const name of ['srv-b__only_b', 'srv-a__echo']) assert.match((await call(name, {}, narrow)).body.error.message, /Unknown tool/);
    const { key } = await tulle.use('API_KEY_CREATE', { name: 'a only', connection_ids: [connections.a.id] }, org);
    guard(key, 'API key');
    assert.ok((await names(key)).every((name) => name.startsWith('srv-a__')));
});

test('a person\'s own credential: the list shows what is known, a call says how to authorize', async () => {
    const { id } = await tulle.connect(org, { name: 'Personal', slug: 'personal', url: servers.v1.url, auth: 'bearer', credential_scope: 'user' });
    await tulle.use('CONNECTION_CREDENTIAL_SET', { connection_id: id, scope: 'user', bearer: plant('personal bearer') }, org);
    assert.ok((await names(org.key)).includes('personal__echo'));
    await tulle.makeUser('second@acme.example');
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: 'second@acme.example', role: 'member' }, org);
    const second = { key: await tulle.makeKey('acme', 'second@acme.example') };
    assert.ok((await names(second.key)).includes('personal__echo'), 'as it was last seen');
    const { body } = await call('personal__echo', { text: 'x' }, second);
    assert.match(JSON.stringify(body), /CONNECTION_CREDENTIAL_SET|authorize/);
    const { body: hello } = await rpc(hub, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }, second);
    assert.match(hello.result.instructions, /personal: Personal \(needs an authorization/);
    await tulle.use('CONNECTION_DELETE', { connection_id: id, confirm: 'personal' }, org);
});

test('calls through the hub are on the connection\'s record', async () => {
    await call('srv-b__only_b', { text: 'recorded' });
    await until('the call is recorded', async () => {
        const { items } = await tulle.use('CONNECTION_CALLS_LIST', { connection_id: connections.b.id, limit: 100 }, org);
        return items.some((one) => one.method === 'tools/call' && one.name === 'only_b' && one.outcome === 'ok');
    });
});

test('an administrator\'s rename and switch count here too', async () => {
    const mark = (fields) => tulle.use('CONNECTION_TOOL_UPDATE', { connection_id: connections.b.id, name: 'only_b', ...fields }, org);
    await mark({ renamed_to: 'renamed' });
    assert.ok((await names(org.key)).includes('srv-b__renamed') && !(await names(org.key)).includes('srv-b__only_b'));
    assert.equal((await call('srv-b__renamed', { text: 'x' })).body.result.content[0].text, 'B/only_b: x');
    assert.match((await call('srv-b__only_b')).body.error.message, /Unknown tool/);
    await mark({ renamed_to: '', enabled: false });
    assert.ok(!(await names(org.key)).includes('srv-b__only_b'));
    assert.match((await call('srv-b__only_b')).body.error.message, /Unknown tool/);
    await mark({ enabled: true });
});

test('the prefix only on a clash, if the organization wants it', async () => {
    await tulle.use('ORGANIZATION_UPDATE', { hub_prefix: 'clash' }, org);
    const all = await names(org.key);
    assert.ok(all.includes('only_b') && all.includes('srv-a__echo') && all.includes('srv-b__echo') && !all.includes('echo'), all.join());
    assert.equal((await call('only_b', { text: 'x' })).body.result.content[0].text, 'B/only_b: x');
    assert.equal((await call('srv-b__echo', { text: 'x' })).body.result.content[0].text, 'B/echo: x');
    await tulle.use('ORGANIZATION_UPDATE', { hub_prefix: 'always' }, org);
    assert.ok((await names(org.key)).includes('srv-b__only_b'));
});

test('many tools come in pages, and the cursor is this caller\'s', async () => {
    const many = await startMany({ name: 'many', tools: 700 });
    const { id } = await tulle.connect(org, { name: 'Many', slug: 'many', url: many.url });
    const seen = [];
    let cursor, first;
    do {
        const page = await list(org.key, hub, 'tools/list', cursor === undefined ? {} : { cursor });
        seen.push(...page.tools.map((tool) => tool.name));
        cursor = page.nextCursor;
        first ??= cursor;
    } while (cursor !== undefined);
    assert.ok(first, 'more than one page');
    assert.equal(seen.filter((name) => name.startsWith('many__tool_')).length, 700);
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.includes('srv-v2__echo'));
    for (const [key, value] of [[other.key, first], [org.key, `${first}x`], [org.key, 'x'], [org.key, 7]])
        assert.equal((await rpc(hub, 'tools/list', { cursor: value }, { key })).body.error.code, -32602, String(value));
    assert.equal((await rpc(hub, 'prompts/list', { cursor: first }, { key: org.key })).body.error.code, -32602);

    const search = `${hub}?tools=search`;
    assert.deepEqual(await names(org.key, search), ['find_tools', 'describe_tools', 'call_tool']);
    const found = JSON.parse((await call('find_tools', { query: 'tool_042 MANY' }, org, search)).body.result.content[0].text);
    assert.equal(found.tools[0].name, 'many__tool_042');
    const described = JSON.parse((await call('describe_tools', { names: ['many__tool_042'] }, org, search)).body.result.content[0].text);
    assert.equal(described.tools[0].inputSchema.type, 'object');
    assert.equal((await call('call_tool', { name: 'many__tool_042', arguments: { text: 'x' } }, org, search)).body.result.content[0].text, 'many/tool_042: x');
    assert.equal((await call('many__tool_042', { text: 'x' }, org, search)).body.result.content[0].text, 'many/tool_042: x');
    for (const [name, args] of [['find_tools', {}], ['find_tools', { query: 'x', limit: 0 }], ['describe_tools', {}], ['describe_tools', { names: ['nope'] }], ['call_tool', {}], ['call_tool', { name: 'nope' }], ['call_tool', { name: 'srv-a__echo', arguments: 1 }]])
        assert.equal((await call(name, args, org, search)).body.error.code, -32602, `${name} ${JSON.stringify(args)}`);
    await tulle.use('ORGANIZATION_UPDATE', { hub_search: 'auto' }, org);
    assert.equal((await names(org.key)).length, 3);
    assert.ok((await names(org.key, `${hub}?tools=all`)).length > 100, 'the caller\'s own choice');
    await tulle.use('CONNECTION_DELETE', { connection_id: id, confirm: 'many' }, org);
    assert.ok((await names(org.key)).length > 3, 'below forty tools the list is the better one');
    await tulle.use('ORGANIZATION_UPDATE', { hub_search: 'off' }, org);
    assert.equal((await rpc(`${hub}?tools=both`, 'tools/list', {}, { key: org.key })).body.error.code, -32602);
    await many.stop();
});

test('OAuth: a token for the hub works at the hub alone', async () => {
    const unauthorized = await rpc(hub, 'tools/list', {});
    assert.equal(unauthorized.status, 401);
    const address = /resource_metadata="([^"]+)"/.exec(unauthorized.headers['www-authenticate'])[1];
    assert.equal(address, `${tulle.url}/.well-known/oauth-protected-resource/mcp/hub`);
    assert.equal((await send(address, { method: 'GET' })).body.resource, hub);
    const browser = await signedIn(tulle, org);
    const client = await makeClient(tulle);
    const token = (await obtainTokens(tulle, browser, client, { resource: hub })).access_token;
    assert.ok((await names(token)).includes('srv-a__echo'));
    assert.equal((await call('srv-b__echo', { text: 'o' }, { key: token })).body.result.content[0].text, 'B/echo: o');
    assert.ok((await names(token, `${hub}/acme`)).includes('srv-a__echo'));
    assert.equal((await rpc(connections.a.mcp, 'tools/list', {}, { key: token })).status, 401);
    assert.equal((await rpc(`${tulle.url}/mcp`, 'tools/list', {}, { key: token })).status, 401);
    const narrow = (await obtainTokens(tulle, browser, client, { resource: connections.a.mcp })).access_token;
    const wrong = await rpc(hub, 'tools/list', {}, { key: narrow });
    assert.equal(wrong.status, 401);
    assert.match(wrong.headers['www-authenticate'], /invalid_token/);
});

test('no token, a management cookie or a wrong method get what they get at any server', async () => {
    for (const method of ['POST', 'GET', 'DELETE']) assert.equal((await send(hub, { method })).status, 401, method);
    assert.equal((await send(hub, { method: 'GET', key: org.key, headers: { accept: 'text/event-stream', 'mcp-protocol-version': '2025-11-25' } })).status, 405);
    assert.equal((await rpc(hub, 'tasks/list', {}, { key: org.key })).body.error.code, -32601);
});

test('what a server changes is seen when its list is asked for again', async () => {
    await servers.b.offer(['echo', 'only_b', 'new_one']);
    assert.ok((await names(org.key)).includes('srv-b__new_one'), 'ttlMs 0: asked again');
});
