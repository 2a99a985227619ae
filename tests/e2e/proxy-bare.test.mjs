// The lines people paste from the documents, with the real curl: no initialize, no version header, Accept: */*.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { launch, within } from './lib/children.mjs';
import { startEverything, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { messagesOf } from './lib/http.mjs';

let tulle, org, connections;
before(async () => {
    let everything, sse, json, dual;
    [tulle, everything, sse, json, dual] = await Promise.all([startTulle(), startEverything(), startV1(), startV1({ isJson: true }), startV2()]);
    org = await tulle.makeOrg('acme');
    connections = {};
    for (const [name, server] of Object.entries({ everything, sse, json, dual }))
        connections[name] = await tulle.connect(org, { name, url: server.url });
});
after(() => tulle?.end());

async function curl(...args) {
    const child = launch('curl', ['-sS', '-i', '--max-time', '20', '--noproxy', '*', ...args]);
    const { code } = await within(30_000, 'curl', child.ended);
    assert.equal(code, 0, child.err);
    const [head, ...rest] = child.out.split('\r\n\r\n');
    const type = /^content-type: *(.*)$/im.exec(head)?.[1];
    const text = rest.join('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), head, text, messages: messagesOf(type, text) };
}
const seed = (url, body, token = org.key) =>
    curl('-X', 'POST', url, '-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/json', '-d', body);

test('tools/list at the management server', async () => {
    const answer = await seed(`${tulle.url}/mcp`, '{"jsonrpc":"2.0","method":"tools/list","id":1}');
    assert.equal(answer.status, 200, answer.text);
    const [message] = answer.messages;
    assert.equal(message.id, 1);
    assert.ok(message.result.tools.some((tool) => tool.name === 'CONNECTION_CREATE'));
    assert.match(answer.head, /content-type: application\/json/i, 'Accept: */* gets JSON');
});

test('tools/call at the management server', async () => {
    const answer = await seed(`${tulle.url}/mcp`, '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"CONNECTION_LIST","arguments":{}},"id":"a"}');
    assert.equal(answer.messages[0].id, 'a');
    assert.equal(answer.messages[0].result.structuredContent.total_count, 4);
});

test('tools/list and tools/call at a connection, whatever the server is', async () => {
    for (const [name, connection] of Object.entries(connections)) {
        if (name === 'dual') continue;
        const list = await seed(connection.mcp, '{"jsonrpc":"2.0","method":"tools/list","id":1}');
        assert.equal(list.status, 200, `${name}: ${list.text}`);
        assert.ok(list.messages.at(-1).result.tools.length > 5, name);
        const args = name === 'everything' ? '{"message":"hi"}' : '{"text":"hi"}';
        const call = await seed(connection.mcp, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":${args}},"id":2}`);
        assert.equal(call.status, 200, `${name}: ${call.text}`);
        assert.equal(call.messages.at(-1).id, 2);
        assert.match(call.messages.at(-1).result.content[0].text, /hi$/);
    }
});

test('a server of both eras answers bare requests too', async () => {
    const call = await seed(connections.dual.mcp, '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}},"id":2}');
    assert.equal(call.status, 200, call.text);
    assert.equal(call.messages.at(-1).result?.content[0].text, 'hi', call.text);
});

test('many bare calls share sessions instead of opening one each', async () => {
    const before = JSON.parse((await tulle.callTool(connections.sse, 'stats', {}, org)).body.result.content[0].text);
    for (let i = 0; i < 20; i++) await tulle.callTool(connections.sse, 'echo', { text: String(i) }, org);
    const after = JSON.parse((await tulle.callTool(connections.sse, 'stats', {}, org)).body.result.content[0].text);
    assert.ok(after.sessions - before.sessions <= 2, `${after.sessions - before.sessions} new sessions`);
});

test('the slug form of the address is the same connection', async () => {
    const answer = await seed(`${tulle.url}/mcp/acme/sse`, '{"jsonrpc":"2.0","method":"tools/list","id":1}');
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.messages.at(-1).result.tools.length, 10);
    assert.equal((await seed(`${connections.sse.mcp}/`, '{"jsonrpc":"2.0","method":"ping","id":1}')).status, 200, 'a trailing slash is served');
});

test('without a token or with a wrong one: 401 with WWW-Authenticate, whatever the path', async () => {
    const body = '{"jsonrpc":"2.0","method":"tools/list","id":1}';
    for (const url of [`${tulle.url}/mcp`, connections.sse.mcp, `${tulle.url}/mcp/conn_${'0'.repeat(32)}`]) {
        const none = await curl('-X', 'POST', url, '-H', 'Content-Type: application/json', '-d', body);
        assert.equal(none.status, 401, url);
        assert.match(none.head, /^www-authenticate: Bearer /im);
        if (/resource_metadata/.test(none.head)) assert.match(none.head, /resource_metadata="http/);
        assert.equal((await seed(url, body, 'tulle_key_nonsense')).status, 401, url);
    }
});

test('[243 248] a token in the query or in a cookie is not taken', async () => {
    const body = '{"jsonrpc":"2.0","method":"tools/list","id":1}';
    const json = ['-H', 'Content-Type: application/json', '-d', body];
    assert.equal((await curl('-X', 'POST', `${tulle.url}/mcp?access_token=${org.key}`, ...json)).status, 401);
    assert.equal((await curl('-X', 'POST', connections.sse.mcp, '-H', `Cookie: tulle-dev=${org.key}`, ...json)).status, 401);
});

test('the same tool over plain HTTP', async () => {
    const answer = await curl('-X', 'POST', `${tulle.url}/api/tools/ORGANIZATION_GET`, '-H', `Authorization: Bearer ${org.key}`,
        '-H', 'Content-Type: application/json', '-d', '{}');
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.text).item.slug, 'acme');
});
