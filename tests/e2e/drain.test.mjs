// SIGTERM: calls in flight finish, streams end cleanly, newcomers are refused, the program ends with 0.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, textOf } from './lib/clients.mjs';
import { startRaw, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { open, rpc, send } from './lib/http.mjs';
import { until } from './lib/children.mjs';

let servers;
before(async () => {
    const [sessions, modern, raw] = await Promise.all([startV1(), startV2(), startRaw()]);
    servers = { sessions, modern, raw };
});
const tulles = [];
after(() => Promise.all(tulles.map((tulle) => tulle.end())));

async function fresh(server, env) {
    const tulle = await startTulle({ env });
    tulles.push(tulle);
    const org = await tulle.makeOrg('acme');
    return { tulle, org, connection: await tulle.connect(org, { name: 'c', url: server.url }) };
}

test('a slow call finishes while new connections are refused', async () => {
    const { tulle, org, connection } = await fresh(servers.sessions);
    const call = tulle.callTool(connection, 'slow', { ms: 2500 }, org);
    await until('it has begun', async () => JSON.parse(textOf((await tulle.callTool(connection, 'stats', {}, org)).body.result)).started > 0);
    const stopped = tulle.stop();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const late = await send(`${tulle.url}/health/ready`, { method: 'GET' }).catch((error) => error.code);
    assert.ok(late === 'ECONNREFUSED' || late === 'ECONNRESET' || late.status === 503, JSON.stringify(late));
    assert.equal(textOf((await call).body.result), 'waited 2500');
    await stopped;
});

test('an SDK client\'s call finishes, its idle stream ends cleanly', async () => {
    const { tulle, org, connection } = await fresh(servers.sessions);
    const client = await connectV1(connection.mcp, org.key);
    const idle = await open(connection.mcp, { method: 'GET', key: org.key, headers: { 'mcp-session-id': client.transport.sessionId, 'mcp-protocol-version': '2025-11-25' } });
    const call = client.callTool({ name: 'slow', arguments: { ms: 1500 } });
    await new Promise((resolve) => setTimeout(resolve, 400));
    const stopped = tulle.stop();
    assert.equal(textOf(await call), 'waited 1500');
    if (idle.status === 200) assert.equal(await idle.done, true, 'the stream ended, it was not cut');
    await stopped;
    await client.close();
});

test('a streaming answer goes to its end', async () => {
    const { tulle, org, connection } = await fresh(servers.raw);
    const stream = await open(connection.mcp, { key: org.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow_sse', arguments: { ms: 200, events: 8 } } } });
    await until('it streams', () => stream.messages().length > 0);
    await tulle.stop();
    assert.equal(await stream.done, true);
    assert.equal(stream.messages().at(-1).id, 1);
});

test('what does not finish within DRAIN_SECONDS is ended, and the exit is still clean', async () => {
    const { tulle, org, connection } = await fresh(servers.raw, { DRAIN_SECONDS: '1' });
    const call = rpc(connection.mcp, 'tools/call', { name: 'hang', arguments: {} }, org).catch((error) => error);
    await until('it hangs', async () => (await servers.raw.seen()).some((request) => request.body.includes('hang')));
    const begun = Date.now();
    await tulle.stop();
    assert.ok(Date.now() - begun < 10_000);
    await call;
});

test('an idle program stops at once', async () => {
    const { tulle } = await fresh(servers.modern);
    const begun = Date.now();
    await tulle.stop();
    assert.ok(Date.now() - begun < 5000, `${Date.now() - begun} ms`);
});
