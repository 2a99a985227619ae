// What changes at a server or in the registry is heard by the hub's clients.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { until } from './lib/children.mjs';
import { connectV1, connectV2 } from './lib/clients.mjs';
import { rpc, send } from './lib/http.mjs';
import { startAsking, startMany } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, hub, many, asking;
before(async () => {
    [tulle, many, asking] = await Promise.all([startTulle(), startMany({ name: 'A', tools: ['one'] }), startAsking()]);
    org = await tulle.makeOrg('acme');
    await tulle.connect(org, { name: 'many', url: many.url });
    await tulle.connect(org, { name: 'asking', url: asking.url });
    hub = `${tulle.url}/mcp/hub`;
});
after(() => tulle?.end());

const names = async () => (await rpc(hub, 'tools/list', {}, { key: org.key })).body.result.tools.map((tool) => tool.name);
/** Repeats what makes the news until it is heard: a stream to a server may have to be opened first. */
const heardAfter = (what, act, heard) => until(what, async () => {
    await act();
    return heard();
}, 60_000);

async function sessionClient() {
    const client = await connectV1(hub, org.key);
    client.heard = [];
    client.fallbackNotificationHandler = async (message) => void client.heard.push(message.method);
    return client;
}

test('a session client hears of a session server\'s new tool, and the list has it', async () => {
    assert.deepEqual((await names()).filter((name) => name.startsWith('many__')), ['many__one']);
    const client = await sessionClient();
    let round = 0;
    await heardAfter('list_changed', () => many.offer(['one', `two_${round++}`]), () => client.heard.includes('notifications/tools/list_changed'));
    const last = `many__two_${round - 1}`;
    await until('the list has it', async () => (await names()).includes(last));
    await client.close();
});

test('a session client hears of a stateless server\'s changes', async () => {
    const client = await sessionClient();
    await heardAfter('prompts/list_changed', () => asking.publish('prompts'), () => client.heard.includes('notifications/prompts/list_changed'));
    await client.close();
});

test('a session client hears that a connection came or went', async () => {
    const client = await sessionClient();
    await until('the stream is open', async () => {
        await many.offer(['one']);
        return client.heard.length > 0;
    }, 60_000);
    // The servers speak of their tools only: news of prompts come from the registry.
    const news = () => client.heard.filter((method) => method === 'notifications/prompts/list_changed').length;
    const before = news();
    const { id } = await tulle.connect(org, { name: 'new', url: many.url });
    await until('list_changed', () => news() > before, 30_000);
    const between = news();
    await tulle.use('CONNECTION_DELETE', { connection_id: id, confirm: 'new' }, org);
    await until('list_changed', () => news() > between, 30_000);
    await client.close();
});

test('a stateless client listens', async () => {
    const client = await connectV2(hub, org.key);
    const heard = [];
    client.setNotificationHandler('notifications/tools/list_changed', () => void heard.push('tools'));
    const subscription = await client.listen({ toolsListChanged: true });
    await heardAfter('list_changed', () => many.offer(['one']), () => heard.length > 0);
    await subscription?.close?.();
    await client.close();
});

test('a session\'s end ends what was opened for it', async () => {
    const client = await sessionClient();
    const session = client.transport.sessionId;
    await client.transport.terminateSession();
    assert.equal((await send(hub, { method: 'GET', key: org.key, headers: { accept: 'text/event-stream', 'mcp-session-id': session } })).status, 404);
    await client.close();
});

test('bad subscriptions are refused', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };
    for (const params of [{}, { notifications: 1 }])
        assert.equal((await rpc(hub, 'subscriptions/listen', { _meta: meta, ...params }, { key: org.key, headers })).body.error.code, -32602);
});
