// A hundred clients at once, all with the same ids: each gets its own answers.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connectV1, connectV2, textOf } from './lib/clients.mjs';
import { startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';
import { rpc } from './lib/http.mjs';

let tulle, org, keys, connections;
before(async () => {
    let sse, json, modern;
    [tulle, sse, json, modern] = await Promise.all([startTulle(), startV1(), startV1({ isJson: true }), startV2({ isModernOnly: true })]);
    org = await tulle.makeOrg('acme');
    connections = {};
    for (const [name, server] of Object.entries({ sse, json, modern })) connections[name] = await tulle.connect(org, { name, url: server.url });
    keys = [org.key];
    for (let i = 1; i < 5; i++) keys.push(guard((await tulle.use('API_KEY_CREATE', { name: `k${i}` }, org)).key, `k${i}`));
});
after(() => tulle?.end());

const hundred = (run) => Promise.all(Array.from({ length: 100 }, (_, i) => run(i, keys[i % keys.length])));

for (const name of ['sse', 'json'])
    test(`bare calls with identical ids (${name} answers)`, async () => {
        for (const id of [1, 'same'])
            await hundred(async (i, key) => {
                const { status, body } = await rpc(connections[name].mcp, 'tools/call', { name: 'echo', arguments: { text: `mine is ${i}` } }, { key, id });
                assert.equal(status, 200);
                assert.deepEqual([body.id, body.result?.content[0].text], [id, `mine is ${i}`], JSON.stringify(body));
            });
    });

test('SDK v1 clients, whose ids all begin at 0, with progress', async () => {
    await hundred(async (i, key) => {
        const client = await connectV1(connections.sse.mcp, key);
        const steps = [];
        const total = 1 + i % 5;
        const [progress, echo, sum] = await Promise.all([
            client.callTool({ name: 'progress', arguments: { steps: total } }, undefined, { onprogress: (note) => steps.push(note.total) }),
            client.callTool({ name: 'echo', arguments: { text: `v1 ${i}` } }),
            client.callTool({ name: 'add', arguments: { a: i, b: 1000 } }),
        ]);
        assert.equal(textOf(progress), `did ${total} steps`);
        assert.deepEqual(steps, Array(total).fill(total));
        assert.deepEqual([textOf(echo), textOf(sum)], [`v1 ${i}`, String(i + 1000)]);
        await client.transport.terminateSession();
        await client.close();
    });
});

test('SDK v2 clients in modern mode', async () => {
    await hundred(async (i, key) => {
        const client = await connectV2(connections.modern.mcp, key);
        const texts = await Promise.all([0, 1, 2].map((n) => client.callTool({ name: 'echo', arguments: { text: `v2 ${i}.${n}` } })));
        assert.deepEqual(texts.map(textOf), [0, 1, 2].map((n) => `v2 ${i}.${n}`));
        await client.close();
    });
});

test('all hundred at the management server', async () => {
    await hundred(async (i, key) => {
        const { body } = await rpc(`${tulle.url}/mcp`, 'tools/call', { name: 'ORGANIZATION_GET', arguments: {} }, { key, id: 1 });
        assert.deepEqual([body.id, body.result.structuredContent.item.slug], [1, 'acme']);
    });
});
